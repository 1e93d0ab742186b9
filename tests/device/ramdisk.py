"""A flash of 4,096-byte blocks in memory, with littlefs: counts, and loses power when told to."""

import vfs

BLOCK = 4096
SIZE = 128  # blocks; a 4 MB board has 512, too many for the heap of a test


class PowerCut(BaseException):
    pass


class Flash:
    """counts: programs, erases, bytes read, bytes programmed. cut: operation that is the last."""

    def __init__(self, data=None, blocks=SIZE):
        self.data = data or bytearray(b"\xff" * (BLOCK * blocks))
        self.blocks = len(self.data) // BLOCK
        self.counts = [0, 0, 0, 0]
        self.cut = 0
        self.when = "before"

    def readblocks(self, block, buf, offset=0):
        at = block * BLOCK + offset
        buf[:] = memoryview(self.data)[at : at + len(buf)]
        self.counts[2] += len(buf)

    def _change(self, at, data):
        if self.cut and self.counts[0] + self.counts[1] == self.cut:
            if self.when == "middle":
                half = len(data) // 2
                self.data[at : at + half] = data[:half]
            elif self.when == "after":
                self.data[at : at + len(data)] = data
            raise PowerCut
        self.data[at : at + len(data)] = data

    def writeblocks(self, block, buf, offset=0):
        self.counts[0] += 1
        self.counts[3] += len(buf)
        self._change(block * BLOCK + offset, bytes(buf))

    def ioctl(self, op, arg):
        if op == 4:
            return self.blocks
        if op == 5:
            return BLOCK
        if op == 6:
            self.counts[1] += 1
            self._change(arg * BLOCK, b"\xff" * BLOCK)
        return 0


def mounted(blocks=SIZE):
    """A new, empty file system at /ram: its Flash."""
    flash = Flash(None, blocks)
    vfs.VfsLfs2.mkfs(flash)
    vfs.mount(flash, "/ram")
    flash.counts = [0, 0, 0, 0]
    return flash
