"""`hmac_hex`: HMAC-MD5, HMAC-SHA1 and HMAC-SHA256. The code is in `credentials`."""

from .credentials import hmac_hex as hmac_hex
