"""`urlencode`: application/x-www-form-urlencoded. The code is in `credentials`."""

from .credentials import urlencode as urlencode
