"""`sign` and `splice`: the platform's one rule for signing. The code is in `credentials`."""

from .credentials import sign as sign
from .credentials import splice as splice
