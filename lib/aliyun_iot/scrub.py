"""Takes the ProductSecret off the flash, once the DeviceSecret has worked.

A file system that wears flash evenly never overwrites: what a file held stays in its old blocks
until they are erased for something else. So after product.json has been replaced by one without
the secret, everything free is written over once. A power cut anywhere in between leaves a
product.json that is whole, and the work is done again after the next connect.
"""

from micropython import const

from . import StoreError, loads, log
from .records import save

_COMMITS = const(160)  # of 100 bytes: the log that small files lie in is rewritten several times


def product_secret(path, feed=None):
    """Remove `productSecret`, and then `forgetProductSecret`, from the product.json at `path`.

    Blocks for as long as the flash takes to erase what is free: 2 MB, up to a minute.
    feed(): called meanwhile, for a watchdog. Returns whether it is done; if not, the reason is
    logged, and the next connect tries again.
    """
    try:
        with open(path, "rb") as file:
            fields = loads(file.read())
        if fields.pop("productSecret", None):
            # Without either of them, a board could not tell whether device.json is its own.
            fields.setdefault("deviceName", "mac")
            save(path, fields)
        log("ProductSecret removed; writing over what is free on flash")
        _fill(path + ".new", feed)
        del fields["forgetProductSecret"]
        save(path, fields)
    except (OSError, ValueError, KeyError, StoreError) as e:
        log("ProductSecret not forgotten yet:", e)
        return False
    return True


def _fill(path, feed):
    for _ in range(_COMMITS):
        if feed:
            feed()
        with open(path, "wb") as file:
            file.write(b"-" * 100)
    try:
        with open(path, "wb") as file:
            while True:
                if feed:
                    feed()
                file.write(bytes(512))
    except OSError:
        pass  # full, as it shall be; what comes next in its place makes room again
