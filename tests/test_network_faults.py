"""A network that fails at any byte: a typed error in time, and the next try succeeds.

The exhaustive sets run by `make faults`; here is a seeded share of each.
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tools.faults import network
from tools.faults.bench import CONNECTED, PRODUCT_KEY, Bench
from tools.faults.proxy import Fault, Kind
from tools.faults.tally import Tally
from tools.faults.tries import EXCHANGES, Exchange

SEED = 3
GUARD = 90  # seconds after which it hangs, however busy the host
REGISTRATIONS: list[Exchange] = ["https", "mqtt", "mqtt-free"]


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bench]:
    with Bench(tmp_path_factory.mktemp("bench")) as running:
        yield running


def assert_well(tally: Tally, least: int) -> None:
    assert tally.problems == []
    assert tally.tried >= least
    assert not [outcome for outcome in tally.outcomes if outcome.startswith("DEFECT")]


@pytest.mark.parametrize("exchange", EXCHANGES)
@pytest.mark.parametrize("kind", ["cut", "reset"])
def test_a_connection_that_ends_at_any_byte_costs_one_try(
    bench: Bench, exchange: Exchange, kind: Kind
) -> None:
    tally = network.cuts(bench, exchange, kind, most=10, seed=SEED)
    assert_well(tally, 10)
    assert tally.outcomes["success"] < 6


@pytest.mark.parametrize("exchange", EXCHANGES)
def test_silence_at_any_byte_ends_at_the_deadline(bench: Bench, exchange: Exchange) -> None:
    tally = network.stalls(bench, exchange, every=1, most=8, seed=SEED)
    assert_well(tally, 8)
    assert tally.outcomes["NetworkError"] >= 6


@pytest.mark.parametrize("exchange", ["https", "connect"])
def test_slowness_is_borne_up_to_the_deadline_and_garbage_is_no_platform(
    bench: Bench, exchange: Exchange
) -> None:
    tally = network.slowness(bench, exchange)
    assert_well(tally, 16)
    assert tally.outcomes["success"] == 4


@pytest.mark.parametrize("exchange", REGISTRATIONS)
def test_lost_answers_leave_stale_secrets_and_the_latest_one_is_kept(
    bench: Bench, exchange: Exchange
) -> None:
    assert_well(network.lost_answers(bench, exchange), 4)


def test_an_answer_lost_and_a_connect_cut_still_end_connected(bench: Bench) -> None:
    bench.platform.faults.drop_next_register_answer()
    bench.mqtt.expect([Fault("cut", "down", 1600), Fault("reset", "up", 200)])
    board = bench.board()
    result = board.boot(CONNECTED, timeout=GUARD)
    assert result.ending == "until", result.output
    assert result.output.count("trying again") == 3
    assert bench.stored_secret(board) == bench.secret_of(board.mac)
    registered = bench.platform.record.events("register", PRODUCT_KEY, board.mac)
    assert [event.details["answered"] for event in registered] == [False, True]


def test_a_new_power_cycle_goes_on_where_the_network_cut_the_last_one(bench: Bench) -> None:
    board = bench.board()
    for after in (0, 300, 1500, 1700):
        bench.https.expect([Fault("cut", "down", after)])
        assert board.boot("trying again", timeout=GUARD).ending == "until"
        assert board.read("/device.json") is None
    assert board.boot(CONNECTED, timeout=GUARD).ending == "until"
    assert bench.stored_secret(board) == bench.secret_of(board.mac)
