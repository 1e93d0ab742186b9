# Runs on the board: what firmware, which files. given: "folders" to list, with all below them (of
# "/" only itself); files and folders to "hash"; "identities", those of them that hold one.
import gc
import json
import os
import sys

gc.collect()


def say(kind, value):
    print("@@" + json.dumps([kind, value]))


def sha256(path):
    import binascii
    import hashlib

    digest = hashlib.sha256()
    piece = bytearray(512)
    with open(path, "rb") as file:
        while True:
            count = file.readinto(piece)
            if not count:
                return binascii.hexlify(digest.digest()).decode()
            digest.update(memoryview(piece)[:count])


def identity(path):
    """SHA-256 of a whole record but for its place and check; None for anything else."""
    import binascii
    import hashlib

    try:
        with open(path) as file:
            text = file.read(2000).rstrip()
        record = dict(json.loads(text))
        check = record.pop("check")
        spliced = "".join([name + record[name] for name in sorted(record)])
        # Firmware before 1.26 accepts JSON that is cut off.
        if not text.endswith("}") or "{:08x}".format(binascii.crc32(spliced.encode())) != check:
            return None
        record.pop("place", None)
        own = "\n".join([name + "=" + record[name] for name in sorted(record)])
        return binascii.hexlify(hashlib.sha256(own.encode()).digest()).decode()
    except (OSError, ValueError, UnicodeError, KeyError, TypeError, AttributeError):
        return None


def firmware():
    own = sys.implementation
    known = {
        "name": own[0],
        "version": list(own[1])[:3],
        "platform": sys.platform,
        "machine": getattr(own, "_machine", ""),
        "mpy": getattr(own, "_mpy", 0),
    }
    try:
        import machine

        known["mac"] = machine.unique_id().hex()
    except (ImportError, AttributeError):
        known["mac"] = ""
    return known


def flash():
    fs = os.statvfs("/")
    return {"block": fs[0], "free": fs[0] * fs[3]}


def wanted(path):
    hashed = given["hash"]  # noqa: F821
    return path in hashed or any(path.startswith(folder + "/") for folder in hashed)


def look(folder, seen):
    if folder in seen:
        return
    seen.append(folder)
    try:
        entries = list(os.ilistdir(folder))
    except OSError:
        return
    for entry in entries:
        path = folder.rstrip("/") + "/" + entry[0]
        if entry[1] == 0x8000:
            own = identity(path) if path in given["identities"] else None  # noqa: F821
            say("file", [path, entry[3], sha256(path) if wanted(path) else None, own])
        else:
            say("folder", path)
            if folder != "/":
                look(path, seen)


def package():
    try:
        with open("/build.json") as file:
            say("package", json.loads(file.read(200))["version"])
    except (OSError, ValueError, KeyError, TypeError):
        pass


say("firmware", firmware())
if sys.implementation[0] == "micropython":
    say("flash", flash())
    package()
    seen = []
    for folder in given["folders"]:  # noqa: F821
        look(folder, seen)
    gc.collect()
say("end", 0)
