"""The identity of an ESP32 on Alibaba Cloud IoT Platform: register, store, connect.

Start at `aliyun_iot.device`; the README's "Layout" says what each module is for.
"""

__version__ = "0.1.0"


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
