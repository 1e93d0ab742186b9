"""What an experiment found: counted, printed, and kept for docs/reliability.md."""

from __future__ import annotations

import json
import random
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

from tools.layout import BUILD

RESULTS = BUILD / "faults"
T = TypeVar("T")


@dataclass
class Tally:
    """One row of the report. `outcomes` counts what happened, `problems` names what must not."""

    name: str
    tried: int = 0
    outcomes: Counter[str] = field(default_factory=Counter)
    problems: list[str] = field(default_factory=list)
    seconds: float = 0.0
    _began: float = field(default_factory=time.monotonic, repr=False)

    def note(self, outcome: str) -> None:
        """Count one case."""
        self.tried += 1
        self.outcomes[outcome] += 1

    def problem(self, text: str) -> None:
        """Note something that must not happen."""
        self.problems.append(text)

    def done(self, leaks: Sequence[str] = ()) -> Tally:
        """Stop the clock. leaks: secrets that were seen, problems each."""
        for leak in leaks:
            self.problem("leaked: " + leak)
        self.seconds = time.monotonic() - self._began
        return self

    def line(self) -> str:
        """What `make faults` prints."""
        outcomes = ", ".join(f"{count} {what}" for what, count in self.outcomes.most_common())
        verdict = f"{len(self.problems)} PROBLEMS" if self.problems else "no problem"
        return f"{self.name}: {self.tried} tried; {outcomes}; {verdict} ({self.seconds:.0f} s)"

    def show(self) -> None:
        """Print the row, and the first problems."""
        print(self.line(), flush=True)
        for text in self.problems[:20]:
            print("    " + text, flush=True)


def share(cases: Sequence[T], most: int | None, seed: int) -> list[T]:
    """All of `cases`, or a seeded choice of `most` of them, in their order."""
    if most is None or most >= len(cases):
        return list(cases)
    chosen = sorted(random.Random(seed).sample(range(len(cases)), most))
    return [cases[index] for index in chosen]


def keep(
    command: str,
    tallies: Sequence[Tally],
    facts: dict[str, Any] | None = None,
    merge: bool = False,
) -> None:
    """Write what a command found, for `report`. merge: keep older rows of other names."""
    RESULTS.mkdir(parents=True, exist_ok=True)
    rows = [
        {
            "name": tally.name,
            "tried": tally.tried,
            "outcomes": dict(tally.outcomes.most_common()),
            "problems": tally.problems,
            "seconds": round(tally.seconds, 1),
        }
        for tally in tallies
    ]
    older = kept(command) if merge else None
    if older is not None:
        names = {row["name"]: row for row in rows}
        rows = [names.pop(row["name"], row) for row in older["rows"]] + list(names.values())
    content = {"at": int(time.time()), "facts": facts or {}, "rows": rows}
    path = RESULTS / f"{command}.json"
    path.write_text(json.dumps(content, indent=1) + "\n", "utf-8")


def kept(command: str) -> dict[str, Any] | None:
    """What `keep` wrote, or None."""
    path: Path = RESULTS / f"{command}.json"
    if not path.exists():
        return None
    content: dict[str, Any] = json.loads(path.read_text("utf-8"))
    return content
