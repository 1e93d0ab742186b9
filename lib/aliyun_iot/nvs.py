"""The product certificate in NVS, where a factory may have put it; see docs/factory.md.

Imported only where /product.json is missing. Firmware may erase all of NVS at a boot that finds
it full or of another version, so what is read there becomes that file, and the file is what
counts from then on.
"""

import json

from micropython import const

from .errors import StoreError
from .log import log
from .store import replace

_MOST = const(1024)  # longest product certificate, bytes


def product(path):
    """The product certificate in NVS, parsed, having copied it to the file at `path`.

    Namespace "aliyun_iot", blob "product": what product.json would hold.
    Raises OSError where NVS has none, ValueError where it is not JSON.
    """
    import esp32

    buffer = bytearray(_MOST)
    count = esp32.NVS("aliyun_iot").get_blob("product", buffer)
    data = bytes(memoryview(buffer)[:count])
    fields = json.loads(data)
    try:
        replace(path, data)
    except StoreError as e:
        log("product certificate not copied from NVS:", e)
    return fields
