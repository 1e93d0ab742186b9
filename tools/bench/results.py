"""What a measurement gives: tables, pictures, and figures by name for the budgets."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Table:
    """Rows of text under a caption; the first column is left-aligned, the others right-aligned."""

    caption: str
    columns: Sequence[str]
    rows: Sequence[Sequence[str]]


@dataclass(frozen=True)
class Picture:
    """A drawing, and the sentence that says what it shows."""

    name: str
    svg: str
    says: str


@dataclass
class Section:
    """One part of docs/benchmark.md. definition: what was measured and how, Markdown."""

    title: str
    definition: str
    tables: list[Table] = field(default_factory=list)
    pictures: list[Picture] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    figures: dict[str, float] = field(default_factory=dict)
    """Name of a budget -> what was measured."""


def number(value: float) -> str:
    """A figure for people: 3 significant digits below 100, thousands with commas."""
    if value == int(value) or abs(value) >= 100:
        return f"{value:,.0f}"
    return f"{value:.3g}"
