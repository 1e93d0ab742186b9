"""The identity of an ESP32 on Alibaba Cloud IoT Platform: register, store, connect.

Start at `aliyun_iot.device`; the README's "Layout" says what each module is for.
"""

__version__ = "0.1.0"

time_source: "str | None" = None
"""Where the clock's time comes from: "ntp"; "kept": it ran on since before a reset; "date": an
authenticated answer's Date; "floor": nobody told, certificates may seem not yet valid; "expired":
a certificate seemed to be, so NTP may have lied; None."""


def time_is_set():
    """Whether somebody told the time: bool."""
    return time_source not in (None, "floor", "expired")


def forget(*names):
    """Unload modules of this package that are not needed for now: their code makes room.

    Collects at once, so that what is imported next fills the holes from the bottom up.
    """
    import gc
    import sys

    for name in names:
        if sys.modules.pop("aliyun_iot." + name, None):
            globals().pop(name, None)
    gc.collect()
