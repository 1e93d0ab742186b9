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
_SOAK = "Soak (`make soak`)"
_FLEET = "Fleet restart (`make fleet`)"


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


def _sections(text: str) -> dict[str, str]:
    """The tables in the document: title without the date -> all of it."""
    found = {}
    for part in text.split("### ")[1:]:
        found[part.partition("\n")[0].rpartition(",")[0]] = "### " + part.strip() + "\n"
    return found


def tables(older: str = "") -> str:
    """All tables: new ones for those commands that have been run here, the others as they were.

    older: the tables so far. Raises ValueError when no command has been run.
    """
    new: dict[str, str] = {}

    def add(title: str, content: dict[str, Any], lines: list[str]) -> None:
        new[title] = "\n".join([f"### {title}, {_day(content)}", "", *lines, ""])

    for command, title in _COMMANDS.items():
        if (content := kept(command)) is not None:
            add(title, content, _rows(content))
    if (content := kept("soak")) is not None:
        add(_SOAK, content, _soak(content["facts"]))
    if (content := kept("fleet")) is not None:
        add(_FLEET, content, [f"- {what}: {said}." for what, said in content["facts"].items()])
    if not new:
        raise ValueError("nothing to report: run make faults, make fuzz or make soak before")
    found = _sections(older) | new
    return "\n".join(
        found[title] for title in [*_COMMANDS.values(), _SOAK, _FLEET] if title in found
    )


def run() -> int:
    """Put the tables between the marks in the document."""
    text = DOCUMENT.read_text("utf-8")
    before, begin, rest = text.partition(BEGIN)
    older, end, after = rest.partition(END)
    if not begin or not end:
        print(f"{DOCUMENT}: the marks are missing: {BEGIN} ... {END}")
        return 1
    try:
        written = tables(older)
    except ValueError as error:
        print(error)
        return 1
    DOCUMENT.write_text(f"{before}{BEGIN}\n\n{written}\n{END}{after}", "utf-8")
    print(f"{DOCUMENT.relative_to(ROOT)} written")
    return 0
