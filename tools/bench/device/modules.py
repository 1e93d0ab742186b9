# Main script: imports the package's modules one by one and says what each takes and leaves.
import gc
import json

from aliyun_iot import forget

with open("/modules.json") as file:
    names = json.load(file)
import hashlib  # noqa: F401 - the firmware's own modules are nobody's cost
import select  # noqa: F401
import ssl  # noqa: F401
import struct  # noqa: F401

import umqtt.simple  # noqa: F401


def used():
    gc.collect()
    return gc.mem_alloc()


used()
for name in names:
    before = used()
    __import__("aliyun_iot." + name)
    loaded = used()
    forget(name)
    left = used()
    __import__("aliyun_iot." + name)
    print("module", name, loaded - before, left - before)
print("end of modules")
