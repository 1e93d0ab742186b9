# part of the simulator, never copied to a board
"""The partition `vfs`: a block device on the image file, which can lose power or wear out."""

import link
from micropython import const

_BLOCK = const(4096)
_EIO = const(5)
_PROGRAMS = const(0)
_ERASES = const(1)
_READ = const(2)
_PROGRAMMED = const(3)


class Flash:
    """Counts what is done to it in `counters`, which the host reads when the power is off.

    cut: number of the program or erase operation (1 is the first) at which power is lost.
    when: "before", "middle" or "after" that operation.
    bad: block that fails to program and erase, -1 none, -2 all; worn: it fails silently.
    """

    def __init__(self, file, counters, blocks, erased, counts, cut, when, bad, worn):
        self.file = file
        self.counters = counters
        self.blocks = blocks
        self.erased = erased
        self.counts = counts
        self.cut = cut
        self.when = when
        self.bad = bad
        self.worn = worn

    def readblocks(self, block, buf, offset=0):
        self.file.seek(block * _BLOCK + offset)
        self.file.readinto(buf)
        self.counts[_READ] += len(buf)
        return 0

    def _change(self, position, buf, block, kind):
        counts = self.counts
        counts[kind] += 1
        file = self.file
        cut = counts[_PROGRAMS] + counts[_ERASES] == self.cut
        if cut or self.bad != -1:
            if cut and self.when == "before":
                counts[kind] -= 1
                self._save()
                link.die("cut")
            if self.bad == -2 or self.bad == block:
                self._save()
                return 0 if self.worn else -_EIO
            if cut and self.when == "middle":
                file.seek(position)
                file.write(memoryview(buf)[: len(buf) // 2])
                self._save()
                link.die("cut")
        file.seek(position)
        size = len(buf)
        done = 0
        length = _BLOCK if kind == _ERASES else size
        while done < length:  # an erase writes a smaller buffer of 0xff several times
            file.write(buf)
            done += size
        self._save()
        if cut:
            link.die("cut")
        return 0

    def _save(self):
        self.counters.seek(0)
        self.counters.write(self.counts)

    def writeblocks(self, block, buf, offset=0):
        self.counts[_PROGRAMMED] += len(buf)
        return self._change(block * _BLOCK + offset, buf, block, _PROGRAMS)

    def ioctl(self, op, arg):
        if op == 4:
            return self.blocks
        if op == 5:
            return _BLOCK
        if op == 6:
            return self._change(arg * _BLOCK, self.erased, arg, _ERASES)
        return 0
