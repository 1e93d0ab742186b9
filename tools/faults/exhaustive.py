"""`make faults`: every power cut and every byte of the network, counted."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

from tools.faults import line_kills, moving, network, power, session_long, session_matrix
from tools.faults.bench import Bench
from tools.faults.places import TwoPlaces
from tools.faults.tally import Tally, keep
from tools.faults.tries import BY_HAND, EXCHANGES, MOVING, Exchange


def _power(name: str) -> Tally:
    scenario = next(each for each in power.SCENARIOS + moving.SCENARIOS if each.name == name)
    kind = TwoPlaces if scenario in moving.SCENARIOS else Bench
    with tempfile.TemporaryDirectory() as folder, kind(Path(folder)) as bench:
        return power.cut_everywhere(bench, scenario, workers=2)


def _bench(exchange: Exchange) -> type[Bench]:
    return TwoPlaces if exchange in BY_HAND else Bench


def _cut(exchange: Exchange) -> Tally:
    with tempfile.TemporaryDirectory() as folder, _bench(exchange)(Path(folder)) as bench:
        return network.cuts(bench, exchange, "cut")


def _reset(exchange: Exchange) -> Tally:
    with tempfile.TemporaryDirectory() as folder, _bench(exchange)(Path(folder)) as bench:
        return network.cuts(bench, exchange, "reset")


def _stall(exchange: Exchange) -> Tally:
    with tempfile.TemporaryDirectory() as folder, _bench(exchange)(Path(folder)) as bench:
        return network.stalls(bench, exchange)


def _slow(exchange: Exchange) -> Tally:
    with tempfile.TemporaryDirectory() as folder, _bench(exchange)(Path(folder)) as bench:
        return network.slowness(bench, exchange)


def _lost(exchange: Exchange) -> Tally:
    with tempfile.TemporaryDirectory() as folder, Bench(Path(folder)) as bench:
        return network.lost_answers(bench, exchange, times=4)


def _killed(moments: int) -> Tally:
    with tempfile.TemporaryDirectory() as folder:
        return line_kills.kills(Path(folder), moments)


def _session(link: str) -> Tally:
    with tempfile.TemporaryDirectory() as folder, Bench(Path(folder)) as bench:
        (tally,) = session_matrix.matrix(bench, links=(link,))
        return tally


def _long(name: str) -> Tally:
    case = next(each for each in session_long.CASES if each.name == name)
    with tempfile.TemporaryDirectory() as folder, Bench(Path(folder)) as bench:
        return session_long.long(bench, case)


NO_SECRET: tuple[Exchange, ...] = ("connect", "bootstrap")
"""Exchanges whose answer holds no secret that could be lost."""


def run(workers: int = 2, only: str = "") -> bool:
    """All of it, a row printed as each is done, in the order of the table. False: a problem.

    only: just the jobs in whose name this is ("cut https"); their rows replace the older ones.
    """
    jobs: list[tuple[Callable[..., Tally], str | int]] = [
        (_power, scenario.name) for scenario in power.SCENARIOS + moving.SCENARIOS
    ]
    for work in (_cut, _reset, _stall, _slow):
        jobs += [(work, exchange) for exchange in EXCHANGES + MOVING + BY_HAND]
    jobs += [(_lost, exchange) for exchange in EXCHANGES + MOVING if exchange not in NO_SECRET]
    jobs.append((_killed, 50))
    jobs += [(_session, link) for link in session_matrix.LINKS]
    jobs += [(_long, case.name) for case in session_long.CASES]
    jobs = [job for job in jobs if only in f"{job[0].__name__.strip('_')} {job[1]}"]
    tallies = []
    with ProcessPoolExecutor(workers) as pool:
        for future in [pool.submit(work, argument) for work, argument in jobs]:
            tally = future.result()
            tally.show()
            tallies.append(tally)
            keep("faults", tallies, merge=bool(only))  # at once: a run takes long
    problems = sum(len(tally.problems) for tally in tallies)
    print(f"{sum(tally.tried for tally in tallies)} cases, {problems} problems")
    return not problems
