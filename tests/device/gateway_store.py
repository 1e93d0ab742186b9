"""Does things to a Store on a littlefs in RAM, a list of [method, arguments...]: what is left.

save [first, count, mark]; find, remove [first, count]; damage, drop page; reopen. Gives
{"results": [...], "stored": n, "pages": {page: its size}, "costs": [[programs and erases, bytes
programmed], ...] of each step}.
"""

import json
import os
import sys

from aliyun_iot import IotError
from aliyun_iot.gateway.saving import remove, save
from aliyun_iot.gateway.store import Store
from ramflash import RamFlash, format_and_mount

Store.folder = "/ram/subdevices"


class Counted(RamFlash):
    programmed = 0

    def writeblocks(self, block, buf, offset=None):
        self.programmed += len(buf)
        return super().writeblocks(block, buf, offset)


def sensors(first, count, mark="s"):
    return {
        ("a1SensorKey", "sensor-%04d" % n): mark + "%031d" % n for n in range(first, first + count)
    }


def main(steps):
    flash = Counted(160)
    format_and_mount(flash, "/ram")
    store = Store()
    results = []
    costs = []
    for step in steps:
        flash.arm(None)
        flash.programmed = 0
        what, arguments = step[0], step[1:]
        result = None
        try:
            if what == "save":
                batch = sensors(*arguments)
                save(store, batch, store.find(list(batch)))
            elif what == "longest":
                names = [("P" * 20, "%032d" % n) for n in range(30)]
                save(store, dict.fromkeys(names, "S" * 64), {})
            elif what == "find":
                found = store.find(list(sensors(*arguments)))
                result = {names[1]: [place, secret[0]] for names, (place, secret) in found.items()}
            elif what == "remove":
                remove(store, list(sensors(*arguments)))
            elif what == "damage":
                with open(store.folder + "/%02d.json" % arguments[0], "r+b") as file:
                    file.seek(40)
                    file.write(b"\0")
            elif what == "drop":
                os.remove(store.folder + "/%02d.json" % arguments[0])
            elif what == "reopen":
                store = Store()
        except IotError as e:
            result = {"error": type(e).__name__, "text": str(e)}
        store.searched = store.pages
        results.append(result)
        costs.append([flash.operations, flash.programmed])
    store = Store()
    pages = {}
    if store.pages:
        for entry in os.ilistdir(store.folder):
            pages[entry[0]] = entry[3]
    stored = [entry[:2] for entry in map(store.at, range(store.pages * 30)) if entry]
    print(
        json.dumps(
            {
                "results": results,
                "stored": len(stored),
                "different": len(set(stored)),
                "pages": pages,
                "costs": costs,
            }
        )
    )


with open(sys.argv[1]) as file:
    main(json.load(file))
