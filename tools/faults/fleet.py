"""A thousand devices powered on in the same second: docs/fleet-restart.svg."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tools.charts import drawing
from tools.faults.bench import DEVICE_SCRIPTS
from tools.faults.tally import keep
from tools.layout import ROOT
from tools.micropython import run_script

if TYPE_CHECKING:
    from matplotlib.axes import Axes

PICTURE = ROOT / "docs" / "fleet-restart.svg"
DEVICES = 1000
SERVED = 20
"""Connects a second that the platform of the simulation serves; the others it turns away."""
SHOWN = 600
"""Seconds that the picture shows."""
_SECONDS = 3600


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


def _panel(axes: Axes, title: str, restart: Restart) -> None:
    """Connects in each second as bars, the online devices as a line, the limit as a dashed one."""
    tries = {second / 60: count for second, count in enumerate(restart.tries[:SHOWN]) if count}
    axes.vlines(
        list(tries), 0, list(tries.values()), color="#888", label="connects begun in a second"
    )
    online = [at / 60 for at in sorted(restart.online)]
    counts = range(1, len(online) + 1)
    axes.plot(online, counts, color="black", drawstyle="steps-post", label="devices online")
    axes.axhline(SERVED, color="black", linestyle="--", label=f"served in a second: {SERVED}")
    axes.set_title(f"{title}\n{describe(restart)}", loc="left", fontsize=10)
    axes.set_xlim(0, SHOWN / 60)
    axes.set_ylim(0, DEVICES)
    axes.grid(color="#ddd", linewidth=0.5)


def draw(panels: Sequence[tuple[str, Restart]]) -> str:
    """The picture, as SVG: one panel below the other."""
    title = f"{DEVICES:,} devices powered on in the same second"
    with drawing(8.75, 6.5, title, len(panels)) as drawn:
        for axes, (name, restart) in zip(drawn.axes, panels, strict=True):
            _panel(axes, name, restart)
        drawn.axes[0].legend(frameon=False, loc="center right")
        drawn.axes[-1].set_xlabel("minutes after power-on")
    return drawn.svg


def run() -> int:
    """Simulate both, print, and write the picture."""
    panels = []
    facts = {}
    for title, jitter in (
        ("as the package waits: growing, with jitter", True),
        ("the same waits without jitter", False),
    ):
        restart = simulate(jitter)
        print(f"{title}: {describe(restart)}; at most {restart.most} a minute from one device")
        facts[title] = describe(restart)
        panels.append((title, restart))
    PICTURE.parent.mkdir(exist_ok=True)
    PICTURE.write_text(draw(panels), "utf-8")
    keep("fleet", [], facts)
    return 0
