"""The one signing rule of the platform: sort by name, splice names and values, HMAC, hex."""

from __future__ import annotations

import hmac
from collections.abc import Mapping

_DIGESTS = {"hmacmd5": "md5", "hmacsha1": "sha1", "hmacsha256": "sha256"}


def sign_method(name: object, lenient: bool) -> str | None:
    """The spelling hmacmd5, hmacsha1 or hmacsha256 of a signMethod, or None if unsupported.

    lenient: also accept case, `_`, `-` and a missing "hmac" (spellings found in the platform's
    own documents).
    """
    if not isinstance(name, str):
        return None
    if lenient:
        name = name.lower().replace("_", "").replace("-", "")
        if not name.startswith("hmac"):
            name = "hmac" + name
    return name if name in _DIGESTS else None


def sign(method: str, secret: str, params: Mapping[str, str]) -> str:
    """HMAC of the parameters in lower-case hex; method as `sign_method` returns it."""
    content = "".join(name + params[name] for name in sorted(params))
    return hmac.new(secret.encode(), content.encode(), _DIGESTS[method]).hexdigest()


def verify(method: str, secret: str, params: Mapping[str, str], given: str) -> bool:
    """Whether a sign, in either case of hex, is that of the parameters."""
    wanted = sign(method, secret, params)
    return hmac.compare_digest(wanted.encode(), given.lower().encode())
