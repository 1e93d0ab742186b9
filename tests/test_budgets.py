"""The package keeps within `tools.bench.budgets`, wherever a cost is the same on any machine.

`make bench` measures all costs and shows how far each is from its limit.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from interpreters import needs_own

from tools.bench.budgets import BUDGETS
from tools.bench.flow import Flow
from tools.bench.measures import flash, heap, sessions, wire
from tools.bench.measures.floors import mpy_parts
from tools.bench.measures.relay import Relay, Total
from tools.bench.place import Place
from tools.image import compile_source

MESSAGES = [
    "message.received.tcp.0.heap",
    "message.received.tcp.1.heap",
    "message.received.tls.0.heap",
    "message.received.tls.1.heap",
    "message.sent.tcp.0.heap",
    "message.sent.tls.0.heap",
]
SUBDEVICES = [(1, "heap.gateway"), (30, "heap.gateway"), (65, "heap.gateway.2000")]


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Place]:
    with Place(tmp_path) as running:
        yield running


@pytest.fixture
def first_boot(place: Place) -> Total:
    return wire.first_boot(place)


def limit(name: str) -> float:
    return BUDGETS[name].limit


def check_heap(place: Place, flow: Flow, name: str) -> None:
    result = flow.run(heap.in_use(place) + limit(name))
    assert flow.got_through(result), result.output


def test_a_first_boot_works_in_its_heap(place: Place) -> None:
    check_heap(place, place.first_boot(), "heap.first")


def test_a_later_boot_works_in_its_heap(place: Place) -> None:
    check_heap(place, place.later_boot(), "heap.later")


@needs_own
def test_a_first_boot_of_a_frozen_package_works_in_its_heap(place: Place) -> None:
    check_heap(place, place.first_boot(frozen=True), "heap.first.frozen")


@needs_own
def test_a_later_boot_of_a_frozen_package_works_in_its_heap(place: Place) -> None:
    check_heap(place, place.later_boot(frozen=True), "heap.later.frozen")


def test_a_registration_over_mqtt_works_in_its_heap(place: Place) -> None:
    check_heap(place, place.first_boot(registration="mqtt"), "heap.mqtt")


@needs_own
@pytest.mark.parametrize(("count", "name"), SUBDEVICES)
def test_a_gateway_works_in_its_heap_for_any_number_of_sub_devices(
    place: Place, count: int, name: str
) -> None:
    flow = place.gateway(count)
    result = flow.run(limit(name))
    assert flow.got_through(result), result.output


def test_a_gateway_leaves_its_application_10_kb_of_a_chips_heap(place: Place) -> None:
    flow = place.gateway(30, held=10)
    made = flow.board()
    board = place.board(made.flash, made.mac, hurry=1000, chip_heap=True)
    for _ in ("first", "later"):
        result = board.boot(flow.done, flow.seconds)
        assert flow.got_through(result), result.output
        assert not result.heap_crossed


def test_a_later_boot_of_a_gateway_reads_little_and_writes_nothing(place: Place) -> None:
    flash_use = place.gateway_later(30).checked().flash
    assert flash_use.reads <= limit("flash.reads.gateway")
    assert (flash_use.programs, flash_use.erases) == (0, 0)


@pytest.mark.parametrize(
    ("name", "what", "optimise"),
    [
        ("flash.direct", "direct", 0),
        ("flash.direct.O3", "direct", 3),
        ("flash.gateway", "gateway", 0),
        ("flash.all", "all", 0),
        ("flash.moving", "moving", 0),
    ],
)
def test_compiled_code_fits(name: str, what: str, optimise: int) -> None:
    assert flash.totals(optimise)[what] <= limit(name)


def test_the_parts_of_compiled_code_are_counted_separately() -> None:
    text = "a sentence that is too long to be a name"
    without = mpy_parts(compile_source(b"x = None", "m.py"))
    with_text = mpy_parts(compile_source(f"x = {text!r}".encode(), "m.py"))
    with_name = mpy_parts(compile_source(b"rather_long_name = None", "m.py"))
    # Each has a length and a zero byte; every firmware already has the name of a module's code.
    assert without["names"] == len("m.py") + 2 + len("x") + 2 + 1
    assert (without["texts"], with_text["texts"]) == (0, len(text) + 3)  # plus a tag
    assert with_name["names"] - without["names"] == len("rather_long_name") - len("x")


@needs_own
def test_a_connected_device_holds_little_heap(place: Place) -> None:
    held = {stage.name: stage.heap / 1024 for stage in heap.stages(place, 0)}
    assert held["connected"] <= limit("heap.connected")


def test_a_first_boot_reads_little_flash(place: Place) -> None:
    use = place.first_boot().checked().flash
    assert use.reads <= limit("flash.reads.first")
    assert use.bytes_read <= limit("flash.read.first")


def test_a_later_boot_reads_little_flash(place: Place) -> None:
    use = place.later_boot().checked().flash
    assert use.reads <= limit("flash.reads.later")
    assert use.bytes_read <= limit("flash.read.later")


def test_a_board_whose_identity_was_often_replaced_reads_no_more(place: Place) -> None:
    assert flash.aged(place, (1, 8, 15, 50)).reads <= limit("flash.reads.aged")


def test_a_reconnect_hardly_reads_the_flash(place: Place) -> None:
    assert flash.reconnect(place) <= limit("flash.reads.reconnect")


def test_a_first_boot_does_not_wear_the_flash(place: Place) -> None:
    assert place.first_boot().checked().flash_operations <= limit("flash.writes.first")


def test_a_later_boot_writes_nothing(place: Place) -> None:
    assert place.later_boot().checked().flash_operations <= limit("flash.writes.later")


def test_a_first_boot_sends_few_bytes(first_boot: Total) -> None:
    assert 500 < first_boot.up.bytes <= limit("wire.bytes.first")


def test_a_first_boot_sends_few_tls_records(first_boot: Total) -> None:
    # At least twice: hello, key exchange, change of cipher, finish and a request.
    assert 10 <= first_boot.up.records <= limit("wire.records.first")


def test_a_first_boot_waits_for_few_round_trips(first_boot: Total) -> None:
    assert first_boot.handshakes == 2
    assert first_boot.round_trips <= limit("wire.trips.first")


def test_a_later_boot_sends_few_tls_records(place: Place) -> None:
    total = wire.later_boot(place)
    assert total.handshakes == 1
    assert total.up.records <= limit("wire.records.later")


def test_a_message_takes_little_heap(place: Place) -> None:
    found = sessions.costs(place, 40, 2)
    for name in MESSAGES:
        _, way, transport, qos, _ = name.split(".")
        ours, others = (
            found[who, transport.upper(), way, int(qos)][1] for who in ("package", "umqtt")
        )
        assert 0 < ours <= limit(name) * others, (name, ours, others)


def test_the_relay_counts_only_tls_records(place: Place) -> None:
    with Relay(place.platform.mqtt_tcp_port) as relay:
        place.mqtt_port = relay.port
        image = place.image(place.product(securemode=3))
        Flow("plain", lambda: place.board(image)).checked()
        total = relay.total()
    assert total.up.bytes > 100 and total.down.bytes > 100
    assert (total.up.records, total.handshakes) == (0, 0)


def test_every_testable_budget_is_tested() -> None:
    text = Path(__file__).read_text("utf-8")
    tested = {name for name, budget in BUDGETS.items() if budget.tested}
    assert {name for name in BUDGETS if f'"{name}"' in text} == tested
