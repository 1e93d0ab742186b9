# Runs on the board: verified copies take their places. given: files to "remove" first, pairs to
# "rename", files to remove "after".
import os


def remove(path):
    try:
        os.stat(path)
    except OSError:
        return
    os.remove(path)


for path in given["remove"]:  # noqa: F821
    remove(path)
for new, path in given["rename"]:  # noqa: F821
    os.rename(new, path)  # littlefs replaces what is there, atomically
for path in given["after"]:  # noqa: F821
    remove(path)
print("@@0")
