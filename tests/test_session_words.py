"""Each way a connection can end is told in a word, whichever release tells it, never as a number.

The numbers are those of the chip: newlib's, which lwIP on ESP32 uses.
"""

from __future__ import annotations

from session_peer import OnDevice, Peer, Talk

# What lwIP's table of errors, its sockets and the TLS stream above them can give.
CHIP = {
    "no answer in time": [116],  # ETIMEDOUT
    "closed by the other end": [104, 113, 128, 9, 32],  # RESET, ABORTED, NOTCONN, EBADF, EPIPE
    "refused": [111],  # ECONNREFUSED
    "no way there": [118, 114, 115],  # EHOSTUNREACH, ENETUNREACH, ENETDOWN
    "out of memory": [12, 105],  # ENOMEM, ENOBUFS
    "too many sockets": [23, 24],  # ENFILE, EMFILE
}
SOURCE = """
from aliyun_iot import wire
# The module `errno` of a chip; what it has no name for has none here either.
class Chip:
    EINPROGRESS = 119
    errorcode = {116: "ETIMEDOUT", 104: "ECONNRESET", 113: "ECONNABORTED", 128: "ENOTCONN",
        9: "EBADF", 111: "ECONNREFUSED", 118: "EHOSTUNREACH", 12: "ENOMEM", 105: "ENOBUFS",
        112: "EADDRINUSE", 11: "EAGAIN", 119: "EINPROGRESS", 120: "EALREADY", 5: "EIO",
        95: "EOPNOTSUPP", 22: "EINVAL", 2: "ENOENT", 17: "EEXIST", 13: "EACCES", 1: "EPERM",
        19: "ENODEV", 21: "EISDIR"}
wire.errno = Chip
for number in range(1, 141):
    told([str(wire.broken(OSError(sign * number))) for sign in (1, -1)])
"""


def test_what_ends_a_connection_on_a_chip_is_a_word_in_both_signs(on_device: OnDevice) -> None:
    with Peer([lambda c: None]) as peer:
        told = Talk(on_device).run(peer, SOURCE)
    for words, numbers in CHIP.items():
        for number in numbers:
            assert told[number - 1] == [f"connection: {words}"] * 2, number


def test_a_sign_makes_no_difference_to_any_number(on_device: OnDevice) -> None:
    with Peer([lambda c: None]) as peer:
        told = Talk(on_device).run(peer, SOURCE)
    assert len(told) == 140
    assert all(plus == minus for plus, minus in told)
