"""An application's watchdog: `run` feeds it online and while it waits to try again."""

from __future__ import annotations

import re
from pathlib import Path

from tools.faults.bench import CONNECTED, Bench

GUARD = 120  # seconds after which it hangs, however busy the host
FEEDING = """
import time
from aliyun_iot import device
fed = time.ticks_ms()
longest = times = 0
def feed():
    global fed, longest, times
    times += 1
    now = time.ticks_ms()
    longest = max(longest, time.ticks_diff(now, fed))
    fed = now
def online(session):
    print("longest without", longest)
def idle(session):
    print("fed", times)
device.run(online, on_idle=idle, feed=feed)
"""


def test_the_longest_time_without_food_is_two_minutes_though_waits_are_longer(
    tmp_path: Path,
) -> None:
    with Bench(tmp_path) as bench:
        board = bench.board(bench.image())
        assert board.boot(CONNECTED, GUARD).ending == "until"
        board.write("/main.py", FEEDING.encode())
        bench.platform.faults.connack(2, 4)
        result = board.boot(r"(?s:fed \d+.*fed \d+\n)", GUARD)
    waits = [int(wait) for wait in re.findall(r"trying again in (\d+) s", result.output)]
    assert len(waits) == 4
    assert max(waits) > 180
    longest = int(result.output.rpartition("longest without ")[2].split()[0])
    assert 1000 <= longest <= 120_000
    first, second = (int(times) for times in re.findall(r"fed (\d+)", result.output))
    assert second > first  # online, too
