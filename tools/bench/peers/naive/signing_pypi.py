# HMAC-SHA-256 by micropython-lib's packages on PyPI: micropython-hmac asks for a digest with
# copy() and digest_size, which only micropython-hashlib's own one in Python has.
import hashlib._sha256
import hmac


def hmac_sha256(key, message):
    return hmac.new(key.encode(), message.encode(), hashlib._sha256.sha256).hexdigest()
