# Runs on the board: verified copies take their places. given: files to "remove" first, pairs to
# "rename", files to remove "after". Each step is told as it is done: on a chip one may take more
# than a second. May be run again where it was interrupted.
import json
import os


def remove(path):
    try:
        os.stat(path)
    except OSError:
        return
    os.remove(path)


def tell(path):
    print("@@" + json.dumps(path))


for path in given["remove"]:  # noqa: F821
    remove(path)
for new, path in given["rename"]:  # noqa: F821
    try:
        os.stat(new)
    except OSError:
        os.stat(path)  # renamed before this run; otherwise this tells that it is gone
    else:
        os.rename(new, path)  # littlefs replaces what is there, atomically
    tell(path)
for path in given["after"]:  # noqa: F821
    remove(path)
    folder = path.rpartition("/")[0]
    if folder.startswith("/lib/aliyun_iot/"):
        try:
            os.rmdir(folder)  # an empty folder could still be imported
        except OSError:
            pass  # it holds something else
    tell(path)
try:
    from aliyun_iot.records import tidy

    tidy()  # the renames have left a long log in `/`, which each import would read
except (ImportError, OSError):
    pass  # another release, or something else that was installed
print("@@0")
