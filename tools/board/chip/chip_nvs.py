# part of the simulator, never copied to a board
"""`esp32.NVS`, kept in the board's folder, as on the chip outside of the file system."""

import binascii

import link


class NVS:
    """Lines of `namespace key type value`; set_* are seen at once and kept from commit() on."""

    _changes = {}

    def __init__(self, namespace):
        if not 0 < len(namespace) < 16:
            raise OSError(-4362, "ESP_ERR_NVS_INVALID_NAME")
        self._namespace = namespace

    def _name(self, key):
        if not 0 < len(key) < 16:
            raise OSError(-4361, "ESP_ERR_NVS_KEY_TOO_LONG")
        return self._namespace + " " + key + " "

    def _get(self, key, kind):
        name = self._name(key) + kind + " "
        value = self._changes.get(name)
        if name not in self._changes:
            for line in link.read("nvs").split("\n"):
                if line.startswith(name):
                    value = line[len(name) :]
        if value is None:
            raise OSError(-4354, "ESP_ERR_NVS_NOT_FOUND")
        return value

    def get_blob(self, key, buffer):
        data = binascii.unhexlify(self._get(key, "blob"))
        if len(data) > len(buffer):
            raise OSError(-4364, "ESP_ERR_NVS_INVALID_LENGTH")
        buffer[: len(data)] = data
        return len(data)

    def set_blob(self, key, data):
        self._changes[self._name(key) + "blob "] = str(binascii.hexlify(data), "ascii")

    def get_i32(self, key):
        return int(self._get(key, "i32"))

    def set_i32(self, key, value):
        self._changes[self._name(key) + "i32 "] = str(int(value))

    def erase_key(self, key):
        found = False
        for kind in ("blob", "i32"):
            try:
                self._get(key, kind)
            except OSError:
                continue
            self._changes[self._name(key) + kind + " "] = None
            found = True
        if not found:
            raise OSError(-4354, "ESP_ERR_NVS_NOT_FOUND")

    def commit(self):
        kept = []
        for line in link.read("nvs").split("\n"):
            if line and not any(line.startswith(name) for name in self._changes):
                kept.append(line)
        for name, value in self._changes.items():
            if value is not None:
                kept.append(name + value)
        self._changes.clear()
        link.write("nvs", "\n".join(kept))
