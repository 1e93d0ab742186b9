"""Records on flash that survive a power cut at any instant, and the rules for their values.

A record is one JSON object in one file. Records written by the device carry `check`, a CRC-32 over
all other members, which shows whether they are complete. A new record is written to `<path>.new`,
read back, and then renamed over the old file, which littlefs does atomically. So at any instant
either the old record or a complete new one can be loaded.
"""

from micropython import const

from . import StoreError, binascii, errno, json, loads, os

UNREADABLE = "cannot be read"
_NEW = const(".new")


def _only(value, also):
    # As bytes: MicroPython interns each character of a str for good, even a secret's.
    return all(
        byte in also or 48 <= byte < 58 or 65 <= byte & 0xDF < 91 for byte in value.encode()
    )


def is_product_key(value):
    """Whether `value` is a ProductKey: 1 to 20 ASCII letters and digits."""
    return isinstance(value, str) and 0 < len(value) <= 20 and _only(value, b"")


def is_device_name(value):
    """Whether `value` is a DeviceName: 4 to 32 of letters, digits and - _ @ . :

    Platform docs "Create a device", as for all rules here.
    """
    return isinstance(value, str) and 4 <= len(value) <= 32 and _only(value, b"-_@.:")


def is_secret(value, most=64):
    """Whether `value` can be a secret: 1 to `most` printable ASCII characters, no space."""
    return (
        isinstance(value, str)
        and 0 < len(value) <= most
        and all(33 <= byte < 127 for byte in value.encode())
    )


def joined(data):
    """JSON text (bytes) with each surrogate pair of \\u escapes replaced by its character.

    `json` would make two characters of it. Raises ValueError if half of a pair is missing.
    """
    data = bytes(data)  # a bytearray has no partition()
    done = b""
    while True:
        before, mark, data = data.partition(b"\\")
        done += before + mark
        if not mark:
            return done
        half = int(data[1:5], 16) - 0xD800 if data[:1] == b"u" else -1
        if not 0 <= half < 2048:
            done += data[:1]
            data = data[1:]
            continue
        other = int(data[7:11], 16) - 0xDC00 if data[5:7] == b"\\u" else -1
        if half >= 1024 or not 0 <= other < 1024:
            raise ValueError
        done = done[:-1] + chr(0x10000 + (half << 10 | other)).encode()
        data = data[11:]


def check(record):
    """The CRC-32 over all members of a record but its check: 8 lower-case hex digits."""
    text = "".join([name + str(record[name]) for name in sorted(record) if name != "check"])
    return "{:08x}".format(binascii.crc32(text.encode()) & 0xFFFFFFFF)


def _bytes(path):
    try:
        with open(path, "rb") as file:
            return file.read()
    except OSError as e:
        if e.args[0] != errno.ENOENT:
            raise
        return None


def _read(path):
    try:
        return parse(_bytes(path))
    except OSError:
        return None, UNREADABLE  # it may still be complete


def parse(data):
    """Parse a file's bytes: (dict, None), or (None, what is wrong with it).

    Members must be text. `check` must match if there is one; a record without it was written by a
    person or a factory tool.
    """
    if data is None:
        return None, "missing"
    if not data.strip():
        return None, "empty"
    try:
        record = loads(data)
    except (ValueError, UnicodeError):
        return None, "not JSON"
    if not isinstance(record, dict):
        return None, "not a JSON object"
    for name in record:
        # MicroPython's JSON also accepts names that are not text.
        if not isinstance(name, str) or not isinstance(record[name], str):
            return None, str(name)[:32] + ": expected text"
    if record.get("check", None) not in (None, check(record)):
        return None, "damaged (its check does not match)"
    return record, None


def load(path, judge):
    """Load the record at `path`: (dict, None), or (None, why there is none), str.

    judge: called with a parsed record, returns None or what is wrong with it.
    A complete `.new` is a newer record whose rename was prevented by a power cut. It wins, as the
    platform honours only the latest secret, and is renamed now.
    """
    record, _ = _read(path + _NEW)
    if record and "check" in record and judge(record) is None:
        try:
            os.rename(path + _NEW, path)
        except OSError:
            pass  # a flash that cannot be written can still be read
        return record, None
    record, wrong = _read(path)
    if record is not None:
        wrong = judge(record)
    return (None, wrong) if wrong else (record, None)


def save(path, record):
    """Write `record`, a dict, to `path`, with its check; see `replace`."""
    record = dict(record)
    record["check"] = check(record)
    old = _read(path)[0]
    replace(path, json.dumps(record).encode())
    if old and not path.rfind("/"):
        tidy()


def replace(path, data):
    """Write `data` (bytes) to `path` durably, and verify it by reading it back.

    Raises StoreError if the flash is full, read-only or returns something else; the old contents
    of `path` are still there then.
    """
    try:
        with open(path + _NEW, "wb") as file:
            file.write(data)
        if _bytes(path + _NEW) != data:
            raise StoreError(path + ": flash did not keep what was written")
        os.rename(path + _NEW, path)
        if _bytes(path) != data:
            raise StoreError(path + ": flash did not keep what was written")
    except OSError as e:
        raise StoreError("{}: cannot be written (error {})".format(path, e.args[0]))


def tidy():
    """Make littlefs compact the log of the root folder.

    Each look-up of a file, and so each import, reads that log from end to end and back again: a
    record replaced fifteen times makes a boot read the flash five times as often. littlefs
    compacts a log when its block is full, so fill it.
    """
    try:
        # Costs no look-up on flash: the firmware loaded it to mount the file system.
        from flashbdev import bdev
    except ImportError:
        return  # not an ESP32
    head = bytearray(8)
    before = None
    name = "/" + "-" * 200
    try:
        for _ in range(20):
            # The log of `/` is in block 0 or 1, whichever has the higher revision.
            bdev.readblocks(0, memoryview(head)[:4], 0)
            bdev.readblocks(1, memoryview(head)[4:], 0)
            if before not in (None, bytes(head)):
                break
            before = bytes(head)
            open(name, "wb").close()
            os.remove(name)
    except OSError:
        pass  # a full flash, or not littlefs: leave it
