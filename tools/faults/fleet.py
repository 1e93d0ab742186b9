"""A thousand devices powered on in the same second: docs/fleet-restart.svg."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass

from tools.faults.bench import DEVICE_SCRIPTS
from tools.faults.tally import keep
from tools.layout import ROOT
from tools.micropython import run_script

PICTURE = ROOT / "docs" / "fleet-restart.svg"
DEVICES = 1000
SERVED = 20
"""Connects a second that the platform of the simulation serves; the others it turns away."""
SHOWN = 600
"""Seconds that the picture shows."""
_SECONDS = 3600
_WIDTH, _PANEL, _LEFT, _TOP, _GAP = 840, 170, 60, 64, 62


@dataclass(frozen=True)
class Restart:
    """What the platform saw. tries: connects begun in each second; online: when each device was
    served, in seconds; most: connects of one device in any minute."""

    tries: list[int]
    online: list[int]
    most: int

    @property
    def worst_later(self) -> int:
        """The most connects in one second from the tenth second on."""
        return max(self.tries[10:])

    @property
    def last(self) -> int | None:
        """The second in which the last device was served, None if some never were."""
        return max(self.online) if len(self.online) == DEVICES else None


def simulate(jitter: bool, seed: int = 1) -> Restart:
    """Run the device's own retry code in MicroPython. Raises ScriptError."""
    settings = {
        "devices": DEVICES,
        "served": SERVED,
        "jitter": jitter,
        "seed": seed,
        "seconds": _SECONDS,
    }
    told = json.loads(run_script(DEVICE_SCRIPTS / "fleet.py", settings, heap="16M"))
    return Restart(told["tries"], told["online"], told["most"])


def describe(restart: Restart) -> str:
    """One line: the load, and when all were online."""
    if restart.last is None:
        end = f"{len(restart.online)} of {DEVICES} online after an hour"
    else:
        end = f"all online after {restart.last} s"
    return (
        f"{sum(restart.tries):,} connects in all, at most {restart.worst_later} in a second "
        f"from the tenth on; {end}"
    )


def _text(x: float, y: float, text: str, anchor: str = "start", size: int = 12) -> str:
    return f'<text x="{x:g}" y="{y:g}" text-anchor="{anchor}" font-size="{size}">{text}</text>'


def _panel(top: int, title: str, restart: Restart, colour: str) -> list[str]:
    """Connects in each second as bars, the online devices as a line, the limit as a dashed one."""
    bottom = top + _PANEL
    width = _WIDTH - _LEFT - 60
    step = width / SHOWN

    def height(value: float) -> float:
        return bottom - value / DEVICES * _PANEL

    parts = [_text(_LEFT, top - 22, title, size=14), _text(_LEFT, top - 6, describe(restart))]
    for mark in (0, 250, 500, 750, 1000):
        y = height(mark)
        parts.append(
            f'<line x1="{_LEFT}" y1="{y:g}" x2="{_LEFT + width}" y2="{y:g}" class="grid"/>'
        )
        parts.append(_text(_LEFT - 8, y + 4, str(mark), "end"))
    for second, tries in enumerate(restart.tries[:SHOWN]):
        if tries:
            x = _LEFT + second * step
            parts.append(
                f'<rect x="{x:.1f}" y="{height(tries):.1f}" width="{max(step, 1.4):.2f}" '
                f'height="{bottom - height(tries):.1f}" fill="{colour}"/>'
            )
    y = height(SERVED)
    parts.append(f'<line x1="{_LEFT}" y1="{y:g}" x2="{_LEFT + width}" y2="{y:g}" class="limit"/>')
    points = []
    for second in range(0, SHOWN + 1, 2):
        online = sum(at < second for at in restart.online)
        points.append(f"{_LEFT + second * step:.1f},{height(online):.1f}")
    parts.append(f'<polyline points="{" ".join(points)}" class="online"/>')
    for second in range(0, SHOWN + 1, 60):
        parts.append(_text(_LEFT + second * step, bottom + 16, f"{second // 60}", "middle"))
    return parts


def draw(panels: Sequence[tuple[str, Restart, str]]) -> str:
    """The picture: one panel below the other."""
    height = _TOP + len(panels) * (_PANEL + _GAP) + 26
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {height}" '
        'font-family="sans-serif" fill="#222">',
        "<style>.grid{stroke:#ddd}.limit{stroke:#b00020;stroke-dasharray:5 4}"
        ".online{fill:none;stroke:#222;stroke-width:1.5}</style>",
        f'<rect width="{_WIDTH}" height="{height}" fill="#fff"/>',
        _text(_LEFT, 20, f"{DEVICES:,} devices powered on in the same second", size=16),
    ]
    for number, (title, restart, colour) in enumerate(panels):
        parts += _panel(_TOP + number * (_PANEL + _GAP), title, restart, colour)
    foot = _TOP + len(panels) * (_PANEL + _GAP) - 22
    parts.append(_text(_LEFT, foot, "minutes after power-on"))
    parts.append(
        _text(
            _LEFT,
            foot + 20,
            f"bars: connects begun in each second; red: the {SERVED} a second that the platform "
            "serves here; black: devices online",
        )
    )
    return "\n".join([*parts, "</svg>"]) + "\n"


def run() -> int:
    """Simulate both, print, and write the picture."""
    panels = []
    facts = {}
    for title, jitter, colour in (
        ("as the package waits: growing, with jitter", True, "#2a6fb0"),
        ("the same waits without jitter", False, "#c98a2b"),
    ):
        restart = simulate(jitter)
        print(f"{title}: {describe(restart)}; at most {restart.most} a minute from one device")
        facts[title] = describe(restart)
        panels.append((title, restart, colour))
    PICTURE.parent.mkdir(exist_ok=True)
    PICTURE.write_text(draw(panels), "utf-8")
    keep("fleet", [], facts)
    return 0
