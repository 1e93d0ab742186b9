"""Erases the ProductSecret from flash, once the DeviceSecret has worked.

A file system that levels wear never overwrites in place: the old contents of a file stay in their
blocks until those are erased for something else. So after product.json has been replaced by one
without the secret, all free space is overwritten once. A power cut at any point leaves a valid
product.json, and the next connect starts over.
"""

from micropython import const

from . import StoreError, loads, log
from .records import save

_COMMITS = const(160)  # of 100 bytes: rewrites littlefs's log of small files several times


def product_secret(path, feed=None):
    """Remove `productSecret`, and then `forgetProductSecret`, from the product.json at `path`.

    Blocks while free space is erased: up to a minute for 2 MB. feed(): called meanwhile, for a
    watchdog. Returns whether it is done: if not, the reason is logged and the next connect tries
    again.
    """
    try:
        with open(path, "rb") as file:
            fields = loads(file.read())
        if fields.pop("productSecret", None):
            # With neither secret nor name, a board could not tell whether device.json is its own.
            fields.setdefault("deviceName", "mac")
            save(path, fields)
        log("ProductSecret removed; overwriting free space on flash")
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
        pass  # full, as intended; the record that replaces this file frees the space again
