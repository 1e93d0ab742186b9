"""`make soak`: many boots, most of them with a fault of some kind, in a seeded order.

A soak is made of lives. A life is one new board: the lives take turns in how their board registers
(HTTPS; MQTT; MQTT without pre-registration; HTTPS, being a gateway with sub-devices). In a life
`LIFE` different kinds of faults happen one after the other, drawn with equal chances from all
those that such a board can meet, and so are their details: where, how often, when. After each,
with a chance of 0.4, and at the end the board is booted without a fault. All this follows from the
seed; only the board's own jitter and the host's speed do not.

A fault counts as injected only if it took effect: the power was cut, the proxy cut the
connection, the platform recorded that it lost its answer, the board complained about the very
thing. Those drawn that did not hit are counted apart.

What must hold:
- In every boot the board connects, or says within its deadlines that a try has failed and when it
  tries again, and goes on so. A minute of silence is a hang (its deadlines are set to 1.5 s), and
  so is a stop for which there was no reason.
- A boot never loses a whole record. A boot without a fault connects, with the one secret that the
  platform holds to be valid, on flash; a gateway's sub-devices have theirs.
- No secret is ever seen on a serial line or in the platform's record, nor does an impostor ever
  get a byte.
"""

from __future__ import annotations

import logging
import random
import tempfile
import time
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from contextlib import ExitStack
from pathlib import Path

from tools.faults import soak_board, soak_network, soak_servers
from tools.faults.bench import Bench
from tools.faults.impostor import Impostors
from tools.faults.secrets import Leak
from tools.faults.soak_life import ALL, FaultKind, Life, Over, Sums
from tools.faults.tally import Tally, keep
from tools.image import ImageError

LIFE = 8
"""Boots with faults in the life of one board."""
KINDS: tuple[FaultKind, ...] = (
    *soak_board.KINDS,
    *soak_network.KINDS,
    *soak_servers.KINDS,
)
_CLEAN = 0.4
"""Chance of a boot without a fault after one with."""
_PART = 4
"""Lives that share a bench."""
_PROGRESS = 10
"""Seconds between lines that tell how far it is."""


def live(bench: Bench, impostors: Impostors, number: int, seed: int) -> Sums:
    """One life. Ends early with the first failure."""
    rng = random.Random(f"{seed} {number}")
    way = ALL[number % len(ALL)]
    life = Life(bench, impostors, way, rng)
    chosen = rng.sample([kind for kind in KINDS if way in kind.ways], LIFE)
    try:
        for at, kind in enumerate(chosen):
            life.doing = f"seed {seed}, life {number} ({way}), fault {at + 1}: {kind.name}"
            expose(life, kind)
            if at == LIFE - 1 or rng.random() < _CLEAN:
                life.clean()
    except Over:
        pass  # it is noted
    except ImageError as error:
        life.sums.lost.append(f"{life.doing}: {error}")
    finally:
        life.tidy()
    for name in bench.secrets.seen_in(life.said):
        life.sums.leaks.append(f"seed {seed}, life {number}: {name} on the serial line")
    return life.sums


def expose(life: Life, kind: FaultKind) -> None:
    """One fault. Raises Over when the board fails, ImageError when its file system is damaged."""
    before = life.secret()
    hit = kind.inject(life)
    (life.sums.faults if hit else life.sums.missed)[kind.name] += 1
    life.tidy()
    if before is not None and life.secret() is None and not kind.spoils:
        life.sums.lost.append(f"{life.doing}: the record is gone")
        raise Over


def lives(numbers: Sequence[int], seed: int) -> Sums:
    """Run some lives on one bench."""
    # It warns of writing to a board that is gone; that is what is done here all the time.
    logging.getLogger("asyncio").setLevel(logging.ERROR)
    sums = Sums()
    try:
        with (
            tempfile.TemporaryDirectory() as folder,
            Bench(Path(folder), certificate=soak_network.CERTIFICATE) as bench,
            ExitStack() as stack,
        ):
            impostors = Impostors(stack)
            for number in numbers:
                sums.add(live(bench, impostors, number, seed))
    except Leak as leak:
        if not sums.leaks:  # it was not a board that said it
            sums.leaks.append(f"seed {seed}, lives {[*numbers]}: {leak}")
    return sums


def soak(boots: int, seed: int, workers: int = 2, progress: bool = False) -> tuple[Sums, Tally]:
    """At least `boots` boots, unless there are problems. progress: print a line now and then."""
    tally = Tally(f"soak, seed {seed}")
    count = -(-boots // (LIFE + 1))
    parts = [range(start, min(start + _PART, count)) for start in range(0, count, _PART)]
    sums = Sums()
    began = said = time.monotonic()
    with ProcessPoolExecutor(workers) as pool:
        futures = [pool.submit(lives, part, seed) for part in parts]
        for done, future in enumerate(as_completed(futures), 1):
            sums.add(future.result())
            now = time.monotonic()
            if progress and now - said > _PROGRESS:
                said = now
                print(
                    f"{done} of {len(parts)} parts, {sums.boots} boots, "
                    f"{len(sums.problems)} problems, {now - began:.0f} s",
                    flush=True,
                )
    tally.tried = sums.boots
    tally.outcomes.update(sums.faults)
    tally.problems += sums.problems
    return sums, tally.done()


def table(sums: Sums, seed: int) -> str:
    """What `make soak` ends with."""
    rows = [(f"boots (seed {seed})", sums.boots), ("faults injected", sums.faults.total())]
    rows += [(f"  {kind.name}", sums.faults[kind.name]) for kind in KINDS]
    rows += [
        ("drawn but did not hit", sums.missed.total()),
        ("identities lost", len(sums.lost)),
        ("secrets leaked", len(sums.leaks)),
        ("hangs", len(sums.hangs)),
    ]
    lines = [f"{name:60}{count:>6}" for name, count in rows]
    return "\n".join(lines + ["    " + problem for problem in sums.problems[:20]])


def run(boots: int, seed: int, workers: int) -> bool:
    """Print the table, and keep it for the report. False: a problem."""
    sums, tally = soak(boots, seed, workers, progress=True)
    print(table(sums, seed))
    facts = {
        "boots": sums.boots,
        "faults": {kind.name: sums.faults[kind.name] for kind in KINDS},
        "missed": sums.missed.total(),
        "lost": len(sums.lost),
        "leaked": len(sums.leaks),
        "hangs": len(sums.hangs),
        "seed": seed,
    }
    keep("soak", [tally], facts)
    return not tally.problems


def run_one(number: int, seed: int) -> bool:
    """One life of a soak again; nothing is kept. False: a problem."""
    sums = lives([number], seed)
    print(table(sums, seed))
    return not sums.problems
