"""Waits between tries: they grow, differ from device to device, and keep the platform's limit."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Any

import pytest

OnDevice = Callable[..., Any]
MINUTE = 60_000


def most_in_a_minute(starts: list[int]) -> int:
    return max(sum(begin <= at < begin + MINUTE for at in starts) for begin in starts)


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("slow", [False, True], ids=["may pass by itself", "refused"])
def test_a_day_of_failures_never_has_more_than_five_tries_a_minute(
    on_device: OnDevice, seed: int, slow: bool
) -> None:
    starts = on_device("retry_day.py", {"seed": seed, "slow": slow, "hours": 24})
    assert most_in_a_minute(starts) <= 5
    # It never stops trying either: the longest wait is an hour at the most.
    assert max(b - a for a, b in itertools.pairwise(starts)) <= 60 * MINUTE


def test_the_first_retry_comes_within_seconds_and_later_ones_within_minutes(
    on_device: OnDevice,
) -> None:
    starts = on_device("retry_day.py", {"seed": 1, "slow": False, "hours": 2})
    waits = [b - a for a, b in itertools.pairwise(starts)]
    assert 2_000 <= waits[0] <= 6_100
    assert all(150_000 <= wait <= 450_100 for wait in waits[10:])


def test_a_refusal_is_retried_slowly(on_device: OnDevice) -> None:
    starts = on_device("retry_day.py", {"seed": 1, "slow": True, "hours": 24})
    assert starts[1] >= 30_000
    assert len(starts) < 24 * 4


def test_two_devices_do_not_wait_alike(on_device: OnDevice) -> None:
    one, other = (
        on_device("retry_day.py", {"seed": seed, "slow": False, "hours": 1}) for seed in (1, 2)
    )
    assert not set(one[1:]) & set(other[1:])
