"""`make fuzz`: mutated answers through the device's parsers, inside MicroPython."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from tools.faults.bench import DEVICE_SCRIPTS
from tools.faults.tally import Tally, keep
from tools.micropython import run_script

KINDS = {
    "fuzz_http.py": "mutated HTTP answers",
    "fuzz_mqtt.py": "mutated MQTT streams",
    "fuzz_alink.py": "mutated replies about sub-devices",
    "fuzz_bootstrap.py": "mutated answers of bootstrap",
}
FEWER = {"fuzz_alink.py": 20}
"""Kinds of which each case is a whole conversation: how many times fewer are tried."""
_CHUNK = 10_000
_MOST_GROWTH = 512
"""Bytes of heap that a run may hold at its end beyond its beginning: caches of the interpreter."""


def _part(script: str, seed: int, cases: int) -> dict[str, Any]:
    """Run one part in MicroPython. Raises subprocess.TimeoutExpired: a hang."""
    printed = run_script(
        DEVICE_SCRIPTS / script,
        {"seed": seed, "cases": cases},
        heap="256wK",
        timeout=60 + cases / 20,
    )
    told: dict[str, Any] = json.loads(printed.splitlines()[-1])
    return told


def fuzz(script: str, cases: int, seed: int, workers: int = 2) -> Tally:
    """Feed `cases` mutations to the parsers; parts of 10,000, each with a seed of its own."""
    tally = Tally(f"{KINDS[script]}, seed {seed}")
    parts = [(seed * 1000 + n, min(_CHUNK, cases - at)) for n, at in _starts(cases)]
    with ThreadPoolExecutor(workers) as pool:
        results = pool.map(lambda part: _part(script, *part), parts)
        for (part_seed, count), told in zip(parts, results, strict=True):
            tally.tried += count
            tally.outcomes.update(told["outcomes"])
            for case, kind, text, data in told["defects"]:
                tally.problem(f"seed {part_seed}, case {case}: {kind} {text}: {data}")
            if told["grown"] > _MOST_GROWTH:
                tally.problem(f"seed {part_seed}: the heap grew by {told['grown']} bytes")
    return tally.done()


def _starts(cases: int) -> list[tuple[int, int]]:
    return list(enumerate(range(0, cases, _CHUNK)))


def run(cases: int, seed: int, workers: int) -> bool:
    """All kinds, printed and kept. False: a problem."""
    tallies = []
    for script in KINDS:
        tally = fuzz(script, cases // FEWER.get(script, 1), seed, workers)
        tally.show()
        tallies.append(tally)
    keep("fuzz", tallies)
    return not any(tally.problems for tally in tallies)
