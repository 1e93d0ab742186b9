"""docs/reliability.md: what was tried and what was found, from what the commands kept."""

from __future__ import annotations

import time
from typing import Any

from tools.faults.tally import kept
from tools.layout import ROOT

DOCUMENT = ROOT / "docs" / "reliability.md"
BEGIN = "<!-- written by `.venv/bin/python -m tools.faults report`: begin -->"
END = "<!-- end -->"
_COMMANDS = {
    "faults": "Exhaustive sets (`make faults`)",
    "fuzz": "Mutated input (`make fuzz`)",
    "move": "A fleet moved to another instance (`make fleet`)",
}


def _day(content: dict[str, Any]) -> str:
    return time.strftime("%Y-%m-%d", time.gmtime(content["at"]))


def _rows(content: dict[str, Any]) -> list[str]:
    lines = ["| what | tried | came to | problems |", "|---|---:|---|---:|"]
    for row in content["rows"]:
        outcomes = ", ".join(f"{count:,} {what}" for what, count in row["outcomes"].items())
        problems = len(row["problems"])
        lines.append(f"| {row['name']} | {row['tried']:,} | {outcomes} | {problems} |")
    tried = sum(row["tried"] for row in content["rows"])
    problems = sum(len(row["problems"]) for row in content["rows"])
    return [*lines, f"| **all** | **{tried:,}** | | **{problems}** |"]


def _soak(facts: dict[str, Any]) -> list[str]:
    faults = facts["faults"]
    return [
        f"Seed {facts['seed']}. A fault counts where it took effect.",
        "",
        "| | |",
        "|---|---:|",
        f"| boots | {facts['boots']:,} |",
        f"| faults injected | {sum(faults.values()):,} |",
        *(f"| with fault: {kind} | {count:,} |" for kind, count in faults.items()),
        f"| drawn but did not hit | {facts['missed']:,} |",
        f"| identities lost | {facts['lost']} |",
        f"| secrets leaked | {facts['leaked']} |",
        f"| hangs | {facts['hangs']} |",
    ]


def tables() -> str:
    """All tables, for those commands that have been run. Raises ValueError when none has."""
    parts: list[str] = []
    for command, title in _COMMANDS.items():
        content = kept(command)
        if content is not None:
            parts += [f"### {title}, {_day(content)}", "", *_rows(content), ""]
    content = kept("soak")
    if content is not None:
        parts += [f"### Soak (`make soak`), {_day(content)}", "", *_soak(content["facts"]), ""]
    content = kept("fleet")
    if content is not None:
        parts += [f"### Fleet restart (`make fleet`), {_day(content)}", ""]
        parts += [f"- {title}: {said}." for title, said in content["facts"].items()]
        parts.append("")
    if not parts:
        raise ValueError("nothing to report: run make faults, make fuzz or make soak before")
    return "\n".join(parts)


def run() -> int:
    """Put the tables between the marks in the document."""
    text = DOCUMENT.read_text("utf-8")
    before, begin, rest = text.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        print(f"{DOCUMENT}: the marks are missing: {BEGIN} ... {END}")
        return 1
    try:
        written = tables()
    except ValueError as error:
        print(error)
        return 1
    DOCUMENT.write_text(f"{before}{BEGIN}\n\n{written}\n{END}{after}", "utf-8")
    print(f"{DOCUMENT.relative_to(ROOT)} written")
    return 0
