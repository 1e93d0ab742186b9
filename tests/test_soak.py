"""A short soak: boots with random faults of all kinds, from a seed."""

from __future__ import annotations

import xml.dom.minidom

from tools.faults import fleet, soak


def test_a_short_soak_loses_no_identity_leaks_no_secret_and_does_not_hang() -> None:
    sums, tally = soak.soak(boots=16, seed=20, workers=1)
    assert tally.problems == []
    assert (sums.lost, sums.leaks, sums.hangs) == ([], [], [])
    assert sums.boots >= 16
    assert len(sums.faults) > 6


def test_a_fleet_with_jitter_is_online_soon_and_one_without_is_not() -> None:
    jitter, without = fleet.simulate(True), fleet.simulate(False)
    assert jitter.last is not None
    assert jitter.last < 180
    assert jitter.worst_later < without.worst_later / 4
    assert jitter.most <= 5


def test_the_picture_of_the_fleet_is_the_one_that_the_command_draws() -> None:
    picture = fleet.PICTURE.read_text("utf-8")
    xml.dom.minidom.parseString(picture)
    assert fleet.describe(fleet.simulate(True)) in picture
    assert fleet.describe(fleet.simulate(False)) in picture
