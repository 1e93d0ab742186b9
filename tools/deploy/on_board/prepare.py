# Runs on the board: room for a copy. given: "folders" to make, files to "remove".
import os

for folder in given["folders"]:  # noqa: F821
    try:
        os.mkdir(folder)
    except OSError:
        os.stat(folder)  # it was there: fine; otherwise this tells why not
for path in given["remove"]:  # noqa: F821
    try:
        os.remove(path)
    except OSError:
        pass
