"""A short soak: boots with random faults of all kinds, from a seed."""

from __future__ import annotations

import random
import types
import xml.dom.minidom
import zlib
from collections.abc import Iterator
from contextlib import ExitStack
from typing import ClassVar

import pytest

from tools.faults import fleet, soak, soak_life, soak_network
from tools.faults.bench import Bench
from tools.faults.impostor import Impostors
from tools.faults.soak_life import FaultKind, Life, Over, Sums

_DRAWS = 8
"""A random fault may miss; so often in a row only if it never hits."""


def test_a_short_soak_loses_no_identity_leaks_no_secret_and_does_not_hang() -> None:
    sums, tally = soak.soak(boots=36, seed=20, workers=1)
    assert tally.problems == []
    assert (sums.lost, sums.leaks, sums.hangs) == ([], [], [])
    assert tally.tried == sums.boots >= 36
    assert sums.faults.total() + sums.missed.total() == 4 * soak.LIFE
    assert len(sums.faults) > 16


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bench]:
    folder = tmp_path_factory.mktemp("bench")
    with Bench(folder, certificate=soak_network.CERTIFICATE) as running:
        yield running


@pytest.fixture(scope="module")
def impostors() -> Iterator[Impostors]:
    with ExitStack() as stack:
        yield Impostors(stack)


@pytest.mark.parametrize("kind", soak.KINDS, ids=lambda kind: kind.name)
def test_a_fault_of_each_kind_takes_effect(
    bench: Bench, impostors: Impostors, kind: FaultKind
) -> None:
    way = kind.ways[zlib.crc32(kind.name.encode()) % len(kind.ways)]
    life = Life(bench, impostors, way, random.Random(kind.name))
    for _ in range(_DRAWS):
        soak.expose(life, kind)
        if life.sums.faults[kind.name]:
            break
    assert life.sums.faults[kind.name] == 1
    life.clean()
    assert life.sums.problems == []


class _Traced(random.Random):
    """Keeps all that is drawn from it."""

    drawn: ClassVar[list[float]] = []

    def random(self) -> float:
        self.drawn.append(super().random())
        return self.drawn[-1]

    def getrandbits(self, k: int, /) -> int:
        self.drawn.append(super().getrandbits(k))
        return int(self.drawn[-1])


def test_the_same_seed_draws_the_same_faults_and_details(
    bench: Bench, impostors: Impostors, monkeypatch: pytest.MonkeyPatch
) -> None:
    traces = []
    for _ in range(2):
        monkeypatch.setattr(_Traced, "drawn", [])
        with monkeypatch.context() as traced:
            traced.setattr(soak, "random", types.SimpleNamespace(Random=_Traced))
            soak.live(bench, impostors, 3, 5)
        traces.append(_Traced.drawn)
    assert traces[0] == traces[1]
    assert len(traces[0]) > 2 * soak.LIFE


def test_a_board_that_falls_silent_or_stops_is_a_hang(
    bench: Bench, impostors: Impostors, monkeypatch: pytest.MonkeyPatch
) -> None:
    life = Life(bench, impostors, "https", random.Random(1))
    for prefix in ("raise SystemError\n", "print('stopped: x')\nasdf\n", "while True: pass\n"):
        life.prepend(prefix)
        if "while" in prefix:
            monkeypatch.setattr(soak_life, "PATIENCE", 1.0)
        with pytest.raises(Over):
            life.boot()
    assert [hang.split(": ")[1] for hang in life.sums.hangs] == ["repl", "repl", "timeout"]


def test_a_record_that_is_gone_is_an_identity_lost(bench: Bench, impostors: Impostors) -> None:
    life = Life(bench, impostors, "https", random.Random(1))
    life.clean()

    def steal(life: Life) -> bool:
        life.board.write("/device.json", None)
        return True

    with pytest.raises(Over):
        soak.expose(life, FaultKind("theft", steal))
    assert len(life.sums.lost) == 1


def test_a_secret_that_is_not_the_platforms_is_an_identity_lost(
    bench: Bench, impostors: Impostors
) -> None:
    life = Life(bench, impostors, "gateway", random.Random(1))
    life.clean()
    life.set_main("print('subdevices online 6')\n")
    life.invalidate_subdevices()
    with pytest.raises(Over):
        life.clean()
    assert "sub-devices' stored secrets" in life.sums.lost[0]


def test_a_secret_that_is_seen_is_a_leak(monkeypatch: pytest.MonkeyPatch) -> None:
    def tell(life: Life) -> bool:
        life.clean()
        life.prepend("print(open('/device.json').read())\n")
        return life.boot()[0] == "goal"

    monkeypatch.setattr(soak, "KINDS", [FaultKind(f"gossip {n}", tell) for n in range(soak.LIFE)])
    (leak,) = soak.lives([0], 1).leaks
    assert leak == "seed 1, life 0: DeviceSecret on the serial line"


def test_the_table_names_every_kind_and_the_seed() -> None:
    sums = Sums(boots=7)
    sums.faults["no DNS"] = 3
    lines = [line.split() for line in soak.table(sums, 12).splitlines()]
    assert lines[0] == ["boots", "(seed", "12)", "7"]
    assert ["no", "DNS", "3"] in lines
    assert len(lines) == len(soak.KINDS) + 6
    assert lines[-3:] == [["identities", "lost", "0"], ["secrets", "leaked", "0"], ["hangs", "0"]]


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
