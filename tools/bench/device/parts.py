# Main script: connects, then lets go of one thing after another and says what each gives back.
import gc
import sys

import micropython
from aliyun_iot.device import Device


def used():
    gc.collect()
    return gc.mem_alloc()


def gone(what):
    global before
    now = used()
    print("part", before - now, what)
    before = now


def without(*names):
    for name in names:
        del sys.modules[name]


device = Device.open()
session = device.connect()
before = used()
print("connected", before)
micropython.qstr_info()
session.close()
gone("the open connection")
device._context = session.context = None
gone("TLS context with its roots")
device.product = device.record = device.packet = None
gone("settings and certificates")
device = session = Device = None
package = "aliyun_iot."
without(*[name for name in sys.modules if name.startswith(package)])
del sys.modules["aliyun_iot"]
gone("code of the package")


print("end of parts")
