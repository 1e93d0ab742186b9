# part of the simulator, never copied to a board
"""The partition `vfs`: a block device on the image file, which can lose power or wear out."""

import link
from micropython import const

_BLOCK = const(4096)
_EIO = const(5)
_PROGRAMS = const(0)
_ERASES = const(1)
_READS = const(2)
_READ = const(3)
_PROGRAMMED = const(4)


class Flash:
    """Counts what is done to it in `counters`, which the host reads when the power is off.

    The file is written at once, reads included: the power may go at any instant.

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
        self.ways = (self._write, self._fail)
        none = self._none
        self.controls = (none, none, none, none, self._blocks, self._block_size, self._erase)

    # Ctrl-C is raised where the interpreter jumps. In here it would be raised through littlefs,
    # which on a chip cannot happen: so nothing jumps, unless a fault is due.

    def readblocks(self, block, buf, offset=0):
        self.file.seek(block * _BLOCK + offset)
        self.file.readinto(buf)
        counts = self.counts
        counts[_READS] += 1
        counts[_READ] += len(buf)
        self.counters.seek(0)
        self.counters.write(counts)
        return 0

    def writeblocks(self, block, buf, offset=0):
        self.counts[_PROGRAMMED] += len(buf)
        return self._change(block * _BLOCK + offset, buf, block, _PROGRAMS)

    def ioctl(self, op, arg):
        return self.controls[op](arg)

    def _none(self, arg):
        return 0

    def _blocks(self, arg):
        return self.blocks

    def _block_size(self, arg):
        return _BLOCK

    def _erase(self, block):
        return self._change(block * _BLOCK, self.erased, block, _ERASES)

    def _change(self, position, buf, block, kind):
        counts = self.counts
        counts[kind] += 1
        cut = counts[_PROGRAMS] + counts[_ERASES] == self.cut
        fault = cut | (self.bad == block) | (self.bad == -2)
        return self.ways[fault](position, buf, kind, cut)

    def _write(self, position, buf, kind, cut):
        self.file.seek(position)
        self.file.write(buf)
        self._save()
        return 0

    def _fail(self, position, buf, kind, cut):
        if not cut:
            self._save()
            return 0 if self.worn else -_EIO
        if self.when == "before":
            self.counts[kind] -= 1
            self._save()
        elif self.when == "middle":
            self._write(position, memoryview(buf)[: len(buf) // 2], kind, cut)
        else:
            self._write(position, buf, kind, cut)
        return link.die("cut")

    def _save(self):
        self.counters.seek(0)
        self.counters.write(self.counts)
