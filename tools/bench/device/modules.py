# Main script: imports the package's modules one by one and says what each takes and leaves.
import gc
import json
import sys

import aliyun_iot  # noqa: F401

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
    del sys.modules["aliyun_iot." + name]
    parent, _, leaf = ("aliyun_iot." + name).rpartition(".")
    delattr(sys.modules[parent], leaf)
    left = used()
    __import__("aliyun_iot." + name)
    print("module", name, loaded - before, left - before)
print("end of modules")
