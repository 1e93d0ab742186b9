"""Saves onto flash that is full, broken or read-only: what is raised, and what is left.

Given "full", "broken" or "read-only"; the result is [error or None, the secret then loaded].
"""

import errno
import json
import sys

import vfs
from aliyun_iot import records
from aliyun_iot.errors import IotError
from ramflash import RamFlash, format_and_mount, mount

OLD = {"productKey": "pk", "deviceName": "unit", "deviceSecret": "old" * 10}
NEW = {"productKey": "pk", "deviceName": "unit", "deviceSecret": "new" * 10}


def fill():
    """Fill data blocks, then the directory's own blocks, where small files are kept."""
    for name, size in (("/big{}", 4096), ("/small{}", 60)):
        number = 0
        try:
            while True:
                with open(name.format(number), "wb") as file:
                    file.write(bytes(size))
                number += 1
        except OSError:
            pass


with open(sys.argv[1]) as file:
    how = json.load(file)
flash = RamFlash(blocks=8)
format_and_mount(flash)
records.save("/device.json", OLD)
if how == "full":
    fill()
elif how == "broken":
    flash.broken = dict.fromkeys(range(flash.blocks), errno.EIO)
elif how == "read-only":
    vfs.umount("/")
    vfs.mount(vfs.VfsLfs2(flash), "/", readonly=True)
raised = None
try:
    records.save("/device.json", NEW)
except IotError as e:
    raised = [type(e).__name__, str(e)]
flash.broken = {}
mount(flash)
record, _ = records.load("/device.json", lambda record: None)
print(json.dumps([raised, record["deviceSecret"]]))
