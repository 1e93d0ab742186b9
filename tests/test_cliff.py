"""The package leaves the network its memory: the heap does not grow, see docs/simulator.md."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from interpreters import needs_own

from tools.faults.bench import CONNECTED, Bench

GUARD = 60
pytestmark = needs_own


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bench]:
    with Bench(tmp_path_factory.mktemp("bench")) as running:
        yield running


@pytest.mark.parametrize("held", [0, 26])
def test_a_device_does_not_cross_with_what_its_application_holds(bench: Bench, held: int) -> None:
    """held: wK of an application's own, in pieces."""
    main = (
        f"held = [bytearray(2048) for _ in range({held})]\n"
        "from aliyun_iot import device\n"
        "def on_connect(session): session.publish(session.topic('user/update'), b'x' * 300, 1)\n"
        "device.run(on_connect)\n"
    )
    board = bench.board(bench.image(main=main), chip_heap=True)
    for _ in ("first boot", "later boot"):
        result = board.boot(CONNECTED, GUARD)
        assert result.ending == "until", result.output
        assert not result.heap_crossed


def test_the_worst_instant_of_a_device_leaves_its_application_26_wk(bench: Bench) -> None:
    board = bench.board(chip_heap=True, heap_sample=1024)
    for _ in ("first boot", "later boot"):
        result = board.boot(CONNECTED, GUARD)
        assert result.ending == "until", result.output
        assert result.heap_peak_wk < 64 - 26
