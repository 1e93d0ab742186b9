"""The heap does not grow into the network's memory; see docs/simulator.md."""

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
def test_the_heap_does_not_grow_while_the_application_holds_memory(
    bench: Bench, held: int
) -> None:
    """held: wK that the application holds, in small objects."""
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


def test_the_heap_peak_of_a_device_leaves_its_application_26_wk(bench: Bench) -> None:
    board = bench.board(chip_heap=True, heap_sample=1024)
    for _ in ("first boot", "later boot"):
        result = board.boot(CONNECTED, GUARD)
        assert result.ending == "until", result.output
        assert result.heap_peak_wk < 64 - 26
