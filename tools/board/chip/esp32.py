# part of the simulator, never copied to a board
"""`esp32`: NVS, and the heap that the network lives on."""

import link
from micropython import const

HEAP_DATA = const(4)
HEAP_EXEC = const(1)
WAKEUP_ALL_LOW = const(0)
WAKEUP_ANY_HIGH = const(1)


def idf_heap_info(capabilities):
    """[(total, free, largest free block, least free ever)], a region each.

    Sums as ESP32_GENERIC 1.25.0 showed them: 138,348 bytes with the radio off, 42,012 less with
    it on, 24,672 less for each TLS connection, and whatever the Python heap has grown by.
    """
    import struct

    import network

    grown, _, _, tls, least = struct.unpack("5I", link.shared or b"\0" * 20)
    off = 0 if network.WLAN().active() else 42012
    free = 96336 + off - grown - tls
    in_pieces = 1444 if free > 8000 else 0
    largest = (
        (free - in_pieces)
        * (1 if grown and free < 16000 else 7)
        // (2 if grown and free < 16000 else 8)
    )
    return [
        (7288, 0, 0, 0),
        (166792, free - in_pieces, largest & -64, min(least or free, free) - in_pieces),
        (15072, in_pieces, in_pieces // 2 & -4, in_pieces // 2),
    ]


def raw_temperature():
    return 128


def mcu_temperature():
    return 45


def __getattr__(name):
    """NVS takes no heap on the chip; here it must not take any unless it is used."""
    if name != "NVS":
        raise AttributeError(name)
    return link.load("nvs").NVS
