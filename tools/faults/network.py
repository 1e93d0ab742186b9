"""The network fails at every byte: cut, reset, stalled, delayed, dripping, and answers lost."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

from tools.faults.bench import Bench
from tools.faults.move_tries import MovedTries
from tools.faults.places import TwoPlaces
from tools.faults.proxy import Direction, Fault, Kind, Passed
from tools.faults.tally import Tally, share
from tools.faults.tries import BY_HAND, PATIENT_MS, TITLES, Exchange, Tries, Try

DIRECTIONS: tuple[Direction, ...] = ("up", "down")
CLEAN = Fault()
_ROOM = 16
"""Bytes by which a session may be longer than the one that was measured."""
_BATCH = 300
_PARALLEL = 8


def tries_of(bench: Bench, exchange: Exchange) -> Tries:
    """Those for an exchange: a move by hand wants a bench with two places."""
    if exchange in BY_HAND:
        assert isinstance(bench, TwoPlaces)
        return MovedTries(bench, exchange)
    return Tries(bench, exchange)


def measure(tries: Tries) -> dict[Direction, int]:
    """Bytes of an undisturbed exchange, each way."""
    _, ((*_, told),), ((passed,),) = tries.run([[CLEAN]], PATIENT_MS)
    if told.error:
        raise RuntimeError(f"{tries.exchange}: {told.error}: {told.text}")
    return {"up": passed.up, "down": passed.down}


def cuts(
    bench: Bench,
    exchange: Exchange,
    kind: Kind = "cut",
    most: int | None = None,
    seed: int = 0,
) -> Tally:
    """End the connection after byte K, for every K both ways, or for a seeded choice of them."""
    tally = Tally(f"{kind} after byte K, {TITLES[exchange]}")
    with tries_of(bench, exchange) as tries:
        sizes = measure(tries)
        points = [
            Fault(kind, direction, after)
            for direction in DIRECTIONS
            for after in range(sizes[direction] + _ROOM)
        ]
        points = share(points, most, seed)
        for at in range(0, len(points), _BATCH):
            _run(tally, tries, points[at : at + _BATCH], PATIENT_MS)
    return tally.done(bench.leaks())


def stalls(
    bench: Bench,
    exchange: Exchange,
    every: int = 16,
    most: int | None = None,
    seed: int = 0,
    ms: int = 1000,
) -> Tally:
    """Silence for ever after byte K, for every `every`-th K both ways."""
    tally = Tally(f"silence after byte K, every {every}th, {TITLES[exchange]}")
    with tries_of(bench, exchange) as tries:
        sizes = measure(tries)
    points = [
        Fault("stall", direction, after)
        for direction in DIRECTIONS
        for after in range(0, sizes[direction] + _ROOM, every)
    ]
    _spread(tally, bench, exchange, share(points, most, seed), ms)
    return tally.done(bench.leaks())


def slowness(bench: Bench, exchange: Exchange, ms: int = 1500) -> Tally:
    """Delays and single bytes, bearable and unbearable; garbage; a port that closes at once."""
    tally = Tally(f"delay, drip, garbage, refusal, {TITLES[exchange]}")
    bearable = [
        *(Fault("delay", way, seconds=0.05) for way in DIRECTIONS),
        *(Fault("drip", way) for way in DIRECTIONS),
    ]
    unbearable = [
        *(Fault("delay", way, seconds=60.0) for way in DIRECTIONS),
        *(Fault("drip", way, seconds=0.1) for way in DIRECTIONS),
        *(Fault("garbage", data=data) for data in GARBAGE),
        Fault("refuse"),
    ]
    _spread(tally, bench, exchange, bearable, PATIENT_MS)
    _spread(tally, bench, exchange, unbearable, ms)
    return tally.done(bench.leaks())


GARBAGE = (
    b"\0" * 64,
    b"\xff" * 2000,
    b"SSH-2.0-OpenSSH_9.2p1 Debian-2\r\n",
    b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n",
    b"\x15\x03\x01\x00\x02\x02\x28",  # a TLS alert: handshake failure
    b"\x16\x03\x03\x40\x01" + b"\0" * 100,  # a TLS record of more than 16 KiB
    b"\x20\x02\x00\x00",  # an MQTT CONNACK
)


def lost_answers(bench: Bench, exchange: Exchange, times: int = 2, ms: int = 1500) -> Tally:
    """The platform gave a secret and its answer is lost, `times` times over."""
    tally = Tally(f"answer lost after the platform committed, {TITLES[exchange]}")
    for stay_open in (False, True):
        with tries_of(bench, exchange) as tries:
            allowed = ms if stay_open else PATIENT_MS
            while not _lose(tally, tries, times, stay_open, allowed):
                allowed = _longer(allowed)
    return tally.done(bench.leaks())


def _lose(tally: Tally, tries: Tries, times: int, stay_open: bool, ms: int) -> bool:
    """Lose that many answers. False: a try ended before its answer was lost."""
    platform = tries.bench.platform
    platform.faults.drop_next_register_answer(times, stay_open)
    names, told, _ = tries.run([[CLEAN] * (times + 1)], ms)
    platform.faults.clear()
    registered = platform.record.events("register", device_name=names[0])
    lost = platform.record.events("fault", device_name=names[0])
    if (len(registered), len(lost)) != (times + 1, times):
        return False
    case = f"{times} answers lost, connection {'stays' if stay_open else 'ends'}"
    for each in told[0][:-1]:
        tally.note(each.outcome)
        if each.error not in ("NetworkError", "ProtocolError"):
            tally.problem(f"{case}: {each.outcome}: {each.text}")
    tries.judge(tally, case, names[0], told[0], ms)
    return True


def _longer(ms: int) -> int:
    """The deadline to try with when a busy host let nothing happen within `ms`."""
    if ms >= PATIENT_MS:
        raise RuntimeError(f"tries of {ms} ms end before they come to their fault")
    return min(4 * ms, PATIENT_MS)


def _run(tally: Tally, tries: Tries, points: Sequence[Fault], ms: int) -> None:
    names, told, passed = tries.run([[point, CLEAN] for point in points], ms)
    early = []
    for point, name, tried, went in zip(points, names, told, passed, strict=True):
        first = tries.first(tried)
        if _is_early(point, first, went[0]) or tries.elsewhere_late(tried):
            early.append(point)
            continue
        tally.note(first.outcome if went[0].hit else "beyond the end")
        where = f" after {point.after} bytes" if point.after else ""
        case = f"{point.kind} {point.direction}{where} ({point.seconds} s)"
        tries.judge(tally, case, name, tried, ms)
    if early:
        _run(tally, tries, early, _longer(ms))


def _is_early(point: Fault, tried: Try, went: Passed) -> bool:
    """Whether the deadline came before the fault, or before it could be waited for."""
    return bool(tried.error) and not (went.hit and (tried.waited or point.kind != "stall"))


def _spread(
    tally: Tally, bench: Bench, exchange: Exchange, points: Sequence[Fault], ms: int
) -> None:
    """Try on several boards at a time: these mostly wait."""

    def work(part: Sequence[Fault]) -> None:
        if part:
            with tries_of(bench, exchange) as tries:
                _run(tally, tries, part, ms)

    with ThreadPoolExecutor(_PARALLEL) as pool:
        list(pool.map(work, [points[start::_PARALLEL] for start in range(_PARALLEL)]))
