"""Runs mpremote, and ends it when the program that started it is gone: killed, too.

An mpremote that outlives its parent would keep the port, and go on writing to the board.
`python run_mpremote.py ARGUMENT...`, standard input being a pipe that nobody but the parent holds.
"""

import os
import runpy
import sys
import threading


def _watch() -> None:
    os.read(0, 1)  # nothing is ever written: it returns when the other end is closed
    os._exit(1)


if __name__ == "__main__":
    if sys.path and sys.path[0] == os.path.dirname(os.path.abspath(__file__)):  # noqa: PTH100, PTH120
        del sys.path[0]  # its mpremote.py is not the one that is meant
    threading.Thread(target=_watch, daemon=True).start()
    sys.argv[0] = "mpremote"
    runpy.run_module("mpremote", run_name="__main__", alter_sys=True)
