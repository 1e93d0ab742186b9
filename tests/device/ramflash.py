"""A flash chip in RAM under a real littlefs, whose power fails at a chosen operation.

Operations are programs and erases, counted from `arm()`; reads leave the flash as it is.
"""

import vfs
from micropython import const

BLOCK = const(4096)
BEFORE, MIDDLE, AFTER = range(3)
WHEN = ("before", "middle", "after")


class PowerCut(BaseException):
    """Not an Exception: no code on the board may get the chance to catch it and go on."""


class RamFlash:
    def __init__(self, blocks=64, data=None):
        self.blocks = blocks
        self.data = bytearray(data) if data else bytearray(b"\xff" * (blocks * BLOCK))
        self.broken = {}  # block: the error number that programming it gives
        self.arm(None)

    def arm(self, cut, when=BEFORE):
        """Count operations from now on, and cut the power at number `cut` (from 0)."""
        self.operations = 0
        self.cut = cut
        self.when = when
        self.dead = False

    def _power(self, apply, half):
        if self.dead:
            raise PowerCut
        number = self.operations
        self.operations += 1
        if number == self.cut:
            self.dead = True
            if self.when == MIDDLE:
                half()
            elif self.when == AFTER:
                apply()
            raise PowerCut
        apply()

    def readblocks(self, block, buf, offset=0):
        at = block * BLOCK + offset
        buf[:] = self.data[at : at + len(buf)]

    def writeblocks(self, block, buf, offset=None):
        if block in self.broken:
            return -self.broken[block]
        at = block * BLOCK + (offset or 0)

        def program(size):
            self.data[at : at + size] = buf[:size]

        self._power(lambda: program(len(buf)), lambda: program(len(buf) // 2))
        return 0

    def ioctl(self, op, arg):
        if op == 4:
            return self.blocks
        if op == 5:
            return BLOCK
        if op == 6:
            at = arg * BLOCK

            def erase(size):
                self.data[at : at + size] = b"\xff" * size

            self._power(lambda: erase(BLOCK), lambda: erase(BLOCK // 2))
        return 0


def format_and_mount(flash, where="/"):
    vfs.VfsLfs2.mkfs(flash)
    mount(flash, where)


def mount(flash, where="/"):
    try:
        vfs.umount(where)
    except OSError:
        pass
    vfs.mount(vfs.VfsLfs2(flash), where)
