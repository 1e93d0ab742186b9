# part of the simulator, never copied to a board
"""`ntptime`: a server that answers, is blocked or lies, as the file `ntp` of the board says."""

import errno

import link
import utime as _utime
from micropython import const

_EPOCH = const(946684800)

host = "pool.ntp.org"
timeout = 1


def _ask():
    """Unix seconds by the server's clock."""
    import network

    if not network.WLAN().has_address():
        raise OSError(-202)
    answer = link.read("ntp")
    if answer == "blocked":
        # The chip waits for `timeout` seconds; nothing here depends on how long.
        _utime.sleep_ms(20)
        raise OSError(errno.ETIMEDOUT)
    if answer == "short":
        raise ValueError("buffer too small")  # what `struct` says to an answer of a few bytes
    if answer == "ok":
        return _utime.time() - float(link.read("clock"))
    return float(answer)


def time():
    return int(_ask()) - _EPOCH


def settime():
    link.set_clock(_ask())
