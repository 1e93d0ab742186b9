"""The power goes, the network lies, while a device is moved or changes its secret: a share of
`make faults` and of `make fleet`."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tools.faults import fleet_move, moving, network, power
from tools.faults.bench import Bench
from tools.faults.places import TwoPlaces
from tools.faults.tries import BY_HAND, MOVING, Exchange

SEED = 5


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bench]:
    with Bench(tmp_path_factory.mktemp("bench")) as running:
        yield running


@pytest.mark.parametrize("scenario", moving.SCENARIOS, ids=lambda scenario: scenario.name)
def test_after_a_power_cut_the_board_is_well_at_its_new_place(
    tmp_path: Path, scenario: power.Scenario
) -> None:
    with TwoPlaces(tmp_path) as two:
        tally = power.cut_everywhere(two, scenario, 6, seed=SEED)
    assert tally.problems == []
    assert tally.tried == 6


@pytest.mark.parametrize("exchange", MOVING)
def test_a_connection_that_ends_at_any_byte_strands_nobody(
    bench: Bench, exchange: Exchange
) -> None:
    tally = network.cuts(bench, exchange, "cut", most=10, seed=SEED)
    assert tally.problems == []
    assert tally.tried == 10
    tally = network.stalls(bench, exchange, every=1, most=4, seed=SEED)
    assert tally.problems == []


@pytest.mark.parametrize("exchange", BY_HAND)
def test_a_move_by_hand_whose_connect_ends_at_any_byte_is_made_again(
    tmp_path: Path, exchange: Exchange
) -> None:
    with TwoPlaces(tmp_path) as two:
        tally = network.cuts(two, exchange, "cut", most=10, seed=SEED)
        assert tally.problems == []
        assert tally.outcomes["NetworkError"] >= 8
        tally = network.stalls(two, exchange, every=1, most=4, seed=SEED)
        assert tally.problems == []


def test_a_lost_answer_to_a_rotation_costs_no_identity(bench: Bench) -> None:
    tally = network.lost_answers(bench, "rotate")
    assert tally.problems == []
    assert tally.tried == 4


def test_a_few_boards_are_moved_under_load_and_faults(tmp_path: Path) -> None:
    tally = fleet_move.move(6, seed=SEED, folder=tmp_path)
    assert tally.problems == []
    assert tally.tried == 6
    assert tally.outcomes["of them as coroutines"] == 2
