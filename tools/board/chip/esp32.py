# part of the simulator, never copied to a board
"""`esp32`: NVS, and the heap figures of a stock firmware at rest."""

import link
from micropython import const

HEAP_DATA = const(4)
HEAP_EXEC = const(1)
WAKEUP_ALL_LOW = const(0)
WAKEUP_ANY_HIGH = const(1)


def idf_heap_info(capabilities):
    """[(total, free, largest free block, least free ever)]: ESP32_GENERIC 1.25.0, WLAN up."""
    return [(164000, 96336, 94208, 90000)]


def raw_temperature():
    return 128


def mcu_temperature():
    return 45


def __getattr__(name):
    """NVS takes no heap on the chip; here it must not take any unless it is used."""
    if name != "NVS":
        raise AttributeError(name)
    return link.load("nvs").NVS
