"""Pictures as SVG: black on white, told apart by labels, markers and patterns, never by colour."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from html import escape

_WIDTH, _LEFT, _RIGHT, _TOP = 720, 64, 190, 48
_HEIGHT, _BOTTOM = 360, 52
_BAR, _GAP, _NAMES = 22, 10, 300
_DASHES = ("", "7 4", "2 4", "10 4 2 4")
_FONT = 'font-family="sans-serif" font-size="13"'

Points = Sequence[tuple[float, float]]


def _svg(width: float, height: float, title: str, parts: Sequence[str]) -> str:
    return "\n".join(
        [
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width:.0f} {height:.0f}" '
            f'width="{width:.0f}" height="{height:.0f}" role="img" {_FONT}>',
            f"<title>{escape(title)}</title>",
            '<rect width="100%" height="100%" fill="white"/>',
            f'<text x="12" y="24" font-size="15" font-weight="bold">{escape(title)}</text>',
            *parts,
            "</svg>\n",
        ]
    )


def _text(x: float, y: float, text: str, anchor: str = "start") -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}">{escape(text)}</text>'


def _line(x1: float, y1: float, x2: float, y2: float, stroke: str = "black") -> str:
    return (
        f'<line x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}" stroke="{stroke}" '
        'stroke-width="1"/>'
    )


def _marker(kind: int, x: float, y: float) -> str:
    if kind == 0:
        return f'<circle cx="{x:.1f}" cy="{y:.1f}" r="4.5" fill="black"/>'
    if kind == 1:
        return (
            f'<rect x="{x - 4.5:.1f}" y="{y - 4.5:.1f}" width="9" height="9" fill="white" '
            'stroke="black" stroke-width="1.5"/>'
        )
    points = f"{x:.1f},{y - 6:.1f} {x + 5.5:.1f},{y + 4:.1f} {x - 5.5:.1f},{y + 4:.1f}"
    fill = "black" if kind == 2 else "white"
    return f'<polygon points="{points}" fill="{fill}" stroke="black" stroke-width="1.5"/>'


def _label(value: float) -> str:
    return f"{value:,.0f}" if value >= 1 else f"{value:g}"


class _Scale:
    """A value -> its place on the paper: logarithmic over whole decades, or linear from zero."""

    def __init__(self, values: Sequence[float], start: float, end: float, log: bool) -> None:
        self._log, self._start, self._end = log, start, end
        if log:
            self._low = math.floor(math.log10(min(values)))
            self._high = max(math.ceil(math.log10(max(values))), self._low + 1)
            self.ticks = [10.0**power for power in range(self._low, self._high + 1)]
        else:
            step = 10 ** math.floor(math.log10(max(values)))
            step = step / 2 if max(values) / step < 3 else step
            most = math.ceil(max(values) * 1.05 / step)
            self._low, self._high = 0, most * step
            self.ticks = [step * index for index in range(most + 1)]

    def __call__(self, value: float) -> float:
        at = math.log10(value) if self._log else value
        share = (at - self._low) / (self._high - self._low)
        return self._start + share * (self._end - self._start)


def chart(
    title: str, across: str, up: str, lines: Mapping[str, Points], log_up: bool = True
) -> str:
    """Lines over a logarithmic axis; each has its own marker, dashes and name at its end.

    across, up: what the axes show. log_up: whether the upright axis is logarithmic too.
    """
    right, bottom = _WIDTH - _RIGHT, _HEIGHT - _BOTTOM
    points = [point for line in lines.values() for point in line]
    x = _Scale([point[0] for point in points], _LEFT, right, True)
    y = _Scale([point[1] for point in points], bottom, _TOP, log_up)
    parts = []
    for tick in x.ticks:
        parts += [_line(x(tick), _TOP, x(tick), bottom, "#ccc")]
        parts += [_text(x(tick), bottom + 18, _label(tick), "middle")]
    for tick in y.ticks:
        parts += [_line(_LEFT, y(tick), right, y(tick), "#ccc")]
        parts += [_text(_LEFT - 8, y(tick) + 4, _label(tick), "end")]
    parts += [_line(_LEFT, bottom, right, bottom), _line(_LEFT, _TOP, _LEFT, bottom)]
    parts += [_text((_LEFT + right) / 2, _HEIGHT - 12, across, "middle")]
    parts += [_text(_LEFT + 4, _TOP - 8, up)]
    ends: list[float] = []
    for kind, (name, line) in enumerate(lines.items()):
        path = " ".join(f"{x(a):.1f},{y(b):.1f}" for a, b in line)
        parts.append(
            f'<polyline points="{path}" fill="none" stroke="black" stroke-width="1.5" '
            f'stroke-dasharray="{_DASHES[kind % 4]}"/>'
        )
        parts += [_marker(kind % 4, x(a), y(b)) for a, b in line]
        height = y(line[-1][1]) + 4
        while any(abs(height - other) < 16 for other in ends):  # names must not overlap
            height += 16
        ends.append(height)
        parts.append(_text(x(line[-1][0]) + 12, height, name))
    return _svg(_WIDTH, _HEIGHT, title, parts)


_PATTERNS = (
    '<pattern id="p0" width="6" height="6" patternUnits="userSpaceOnUse">'
    '<rect width="6" height="6" fill="black"/></pattern>'
    '<pattern id="p1" width="6" height="6" patternUnits="userSpaceOnUse">'
    '<rect width="6" height="6" fill="white"/><path d="M0 6 L6 0" stroke="black"/></pattern>'
    '<pattern id="p2" width="6" height="6" patternUnits="userSpaceOnUse">'
    '<rect width="6" height="6" fill="white"/><circle cx="3" cy="3" r="1.3"/></pattern>'
    '<pattern id="p3" width="6" height="6" patternUnits="userSpaceOnUse">'
    '<rect width="6" height="6" fill="white"/></pattern>'
)


def bars(title: str, unit: str, groups: Mapping[str, Mapping[str, float]]) -> str:
    """Horizontal bars in groups: group -> who -> value. Each who has its own pattern."""
    whos = list(dict.fromkeys(who for group in groups.values() for who in group))
    most = max(value for group in groups.values() for value in group.values())
    room = _WIDTH - _NAMES - 90
    y = 44.0
    parts = [f"<defs>{_PATTERNS}</defs>"]
    for name, group in groups.items():
        parts.append(_text(12, y + 14, name))
        y += 22
        for who, value in group.items():
            length = max(1.0, value / most * room)
            parts.append(_text(_NAMES - 8, y + 15, who, "end"))
            parts.append(
                f'<rect x="{_NAMES}" y="{y:.1f}" width="{length:.1f}" height="{_BAR}" '
                f'fill="url(#p{whos.index(who) % 4})" stroke="black"/>'
            )
            shown = f"{value:,.0f}" if value >= 100 else f"{value:.1f}"
            parts.append(_text(_NAMES + length + 6, y + 15, f"{shown} {unit}"))
            y += _BAR + 4
        y += _GAP
    return _svg(_WIDTH, y, title, parts)
