# part of the simulator, never copied to a board
"""Power-on and soft reset: what ESP32 firmware does before, around and after boot.py and main.py.

Runs before anything of the board's own. Whatever it leaves on the heap stands in the way of the
device code that is measured here, so it lies in a ROM file system and keeps little.
"""

import gc
import io
import sys

import link
import uos
import utime
import vfs


class _Traceback(io.IOBase):
    """Prints a traceback without the simulator's own frames."""

    def __init__(self):
        self.line = b""

    def write(self, data):
        self.line += data
        if self.line.endswith(b"\n"):
            if b'File "chip/' not in self.line:
                print(str(self.line, "utf-8"), end="")
            self.line = b""
        return len(data)


def _run(name, namespace):
    """Returns whether the next script may follow: not after any exception, as in the firmware."""
    try:
        uos.stat(name)
    except OSError:
        return True
    try:
        execfile(name, namespace)  # noqa: F821 - a builtin of MicroPython
        return True
    except SystemExit:
        raise
    # As the chip: any end of a script but SystemExit is printed, and the REPL comes next.
    except BaseException as e:
        sys.print_exception(e, _Traceback())
        return False


def _sweep():
    """Soft reset: the heap is swept, which closes (and so commits) files that are still open."""
    while True:
        try:
            import __main__

            __main__.__dict__.clear()
            sys.modules.clear()
            gc.collect()
            link.die("soft")
        except KeyboardInterrupt:  # typed just before; nothing is left to interrupt
            pass


def _mount(device):
    """Mount the flash at `/`; as the firmware's first script: format it if it is blank."""
    vfs.umount("/")
    try:
        vfs.mount(device, "/")
        return
    except OSError:
        head = bytearray(64)
        device.readblocks(0, head)
    if head.count(b"\xff") == len(head):
        vfs.VfsLfs2.mkfs(device)
        vfs.mount(device, "/")
        return
    link.tell("corrupt")
    while True:
        print("The filesystem appears to be corrupted.")
        utime.sleep(3)


def _replace_modules(rom):
    """Put the chip's modules where `import` looks first, under both of their names."""
    sys.path[:] = [rom + "/chip"]
    for name in (
        "time",
        "socket",
        "os",
        "machine",
        "network",
        "esp32",
        "esp",
        "ntptime",
        "flashbdev",
    ):
        gc.collect()  # each fills the holes that the one before left behind
        sys.modules[name] = __import__(name)
    gc.collect()
    sys.modules["sys"] = __import__("chip_sys")
    for name in ("time", "socket", "os", "machine"):
        sys.modules["u" + name] = sys.modules[name]
    del sys.modules["chip_sys"]


def _import_as_the_chip(path):
    """Have `import` look on the flash for what on the chip is built in but may be extended there.

    The simulator's own modules of these names are in `sys.modules`, where the chip's never are:
    it looks for a folder, .py and .mpy in each folder of sys.path, at every import statement.
    """
    import builtins

    real = builtins.__import__
    names = ("time", "socket", "os", "machine")

    def imported(name, *rest):
        if name in names:
            for folder in path:
                for end in ("", ".py", ".mpy") if folder in ("", "/lib") else ():
                    try:
                        uos.stat(folder + "/" + name + end)
                    except OSError:
                        pass
        return real(name, *rest)

    builtins.__import__ = imported


def start(folder, control, rom, raw_repl, cut, when, bad, worn, shared, lenient, hurry=1):
    """One life of the interpreter, from reset to REPL.

    folder: of the board. control: file descriptor of the pipe to the host. rom: where this very
    code is mounted. raw_repl: a soft reset out of the raw REPL, which runs no main.py. hurry:
    how many times faster sleeps pass. shared: address of the memory that the host sees too, 0 for
    none. lenient: JSON as before 1.26. The rest is for `flash.Flash`.
    """
    from array import array

    from flash import Flash

    if shared:
        import uctypes

        link.shared = uctypes.bytearray_at(shared, 64)
    link.folder = vfs.VfsPosix(folder)
    link.pipe = open("/dev/fd/%d" % control, "wb")
    link.itself = link
    link.hidden = rom[1:]
    try:
        erased = memoryview(open(rom + "/erased", "rb"))  # in the ROM, not on the heap
    except TypeError:
        erased = b"\xff" * 4096
    image = link.folder.open("/flash.bin", "r+b")
    counters = link.folder.open("/counters", "r+b")
    blocks = image.seek(0, 2) // 4096
    device = Flash(image, counters, blocks, erased, array("I", [0] * 5), cut, when, bad, worn)

    _replace_modules(rom)
    if hurry > 1:
        link.load("hurry").install(sys.modules["time"], hurry)
    sys.modules["flashbdev"].bdev = device
    if lenient:
        sys.modules["json"] = sys.modules["ujson"] = link.load("json")
        del sys.modules["chip_json"]
    _mount(device)
    sys.path[:] = ["", ".frozen", rom + "/frozen", "/lib"]
    _import_as_the_chip(sys.path)
    sys.atexit(_sweep)

    import __main__

    names = __main__.__dict__
    names.clear()
    names["__name__"] = "__main__"
    for name in ("start", "flash", "link"):
        sys.modules.pop(name, None)
    gc.collect()
    scripts = True
    while True:  # one `try` around it all: Ctrl-C may come where a `try` has just been left
        try:
            if scripts:
                scripts = False
                if link.shared:  # what the simulator needed for a moment, to start, is no peak
                    link.shared[4:8] = gc.mem_alloc().to_bytes(4, "little")
                link.tell("heap %d" % gc.mem_alloc())  # from here on the host lets Ctrl-C through
                if _run("boot.py", names) and not raw_repl:
                    _run("main.py", names)
            if raw_repl:
                print("\x16\x16", end="")  # the host drops the friendly REPL that comes now
            return link.tell("repl")
        except SystemExit:
            _sweep()
        except KeyboardInterrupt as e:  # outside of the scripts
            sys.print_exception(e, _Traceback())
