"""Days in simulated time: ticks that wrap, ids that wrap, links that die at any instant."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from session_peer import OnDevice

from tools.faults.bench import Bench

WRAP = 1 << 30  # milliseconds, a chip's ticks
DAY = 86_400_000
LOOPS = [
    "run",
    "wait(0)",
    "wait(200)",
    "check_msg, once in keepalive",
    "check_msg, now and then",
    "wait, once in keepalive",
]
KEEPALIVE = 30
TIMEOUT = 10_000
GUARD = 60


def life(on_device: OnDevice, loop: str, ms: int, **more: Any) -> dict[str, Any]:
    given = {
        "start": WRAP - DAY // 48,
        "keepalive": KEEPALIVE,
        "timeout": TIMEOUT,
        "ms": ms,
        "loop": loop,
        "dead": None,
        "every": 0,
        **more,
    }
    result: dict[str, Any] = on_device("session_week.py", given)
    return result


def pace(loop: str) -> int:
    """Milliseconds between messages with which a loop that takes one at a turn can keep up."""
    return 45_000 if loop.startswith("wait, once") else 700


@pytest.mark.parametrize("flood", [False, True], ids=["silent", "with messages"])
@pytest.mark.parametrize("loop", LOOPS)
def test_a_healthy_link_never_ends(on_device: OnDevice, loop: str, flood: bool) -> None:
    """Half an hour, across the wrap. Pings leave in time, and not too often."""
    told = life(on_device, loop, DAY // 48, every=flood * pace(loop), start=WRAP - DAY // 96)
    assert told["error"] is None, told
    assert told["longest"] <= KEEPALIVE * 1500, told
    assert told["pings"] <= 1800 / (KEEPALIVE * 0.4) + 2, told


@pytest.mark.parametrize("dead", ["up", "down", "both"])
@pytest.mark.parametrize("loop", LOOPS)
def test_a_link_that_dies_is_noticed_whenever_it_does(
    on_device: OnDevice, loop: str, dead: str
) -> None:
    """Within keepalive and timeout of the application's looking; with messages and without."""
    for seed, every in enumerate((0, pace(loop))):
        told = life(on_device, loop, DAY // 96, dead=dead, seed=seed, every=every)
        assert told["error"], told
        looks = KEEPALIVE * 1000 if "keepalive" in loop or "now" in loop else 500
        assert told["at"] - told["dead"] <= KEEPALIVE * 1000 + TIMEOUT + 2 * looks, (seed, told)


def test_a_week_online(on_device: OnDevice) -> None:
    told = life(on_device, "run", 7 * DAY, keepalive=300, every=60_000, publish=600_000)
    assert told["error"] is None
    assert told["sent"] >= 1000
    assert told["got"] >= 10_000


def test_packet_ids_wrap_and_none_is_zero(on_device: OnDevice) -> None:
    told = life(on_device, "wait(0)", 600_000, publish=1, pid=65_000)
    assert told["error"] is None
    least, most, count = told["ids"]
    assert (least, most) == (1, 65_535)
    assert count == told["sent"] > 1000
    assert told["pid"] < 65_000


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bench]:
    with Bench(tmp_path_factory.mktemp("bench")) as running:
        yield running


@pytest.mark.parametrize("years", [10, -10])
def test_a_clock_that_jumps_is_nothing_to_a_session(bench: Bench, years: int) -> None:
    main = f"""
from aliyun_iot import device
import time, machine
n = 0
def idle(session):
    global n
    n += 1
    if n == 1:
        now = time.gmtime()
        machine.RTC().datetime((now[0] + {years}, now[1], 1, 0, now[3], now[4], 0, 0))
    session.publish(session.topic("user/update"), b"x", qos=1)
    print("IDLE", n, time.gmtime()[0])
device.run(on_idle=idle)
"""
    board = bench.board(bench.image(main=main))
    with board.power_on() as session:
        assert session.wait("^IDLE 3", GUARD) == "until", session.output
    assert "trying again" not in session.output
    assert session.output.count("connected as") == 1
