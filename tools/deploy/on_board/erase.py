# Runs on the board: the identity goes, a gateway's sub-devices with it. The successors go first:
# they would win at the next boot.
import os

SUBDEVICES = "/subdevices"


def remove(path):
    try:
        os.stat(path)
    except OSError:
        return
    os.remove(path)
    print('@@"' + path + '"')


remove("/place.json.new")
remove("/place.json")
remove("/device.json.new")
remove("/device.json")
try:
    pages = sorted(os.listdir(SUBDEVICES), reverse=True)
except OSError:
    pages = None
if pages is not None:
    for page in pages:
        remove(SUBDEVICES + "/" + page)
    os.rmdir(SUBDEVICES)
