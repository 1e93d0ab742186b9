"""Charts as SVG: black on white, told apart by labels, markers and hatching, never by colour."""

from __future__ import annotations

import io
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Points = Sequence[tuple[float, float]]

_DASHES = ("-", "--", ":", "-.")
_MARKERS = ("o", "s", "^", "D")
_HATCHES = ("", "///", "", "xxx")
_FILLS = ("black", "white", "white", "white")


@contextmanager
def drawing(width: float, height: float, title: str, rows: int = 1) -> Iterator[Drawing]:
    """A drawing to fill in; its `svg` is there once the block has ended.

    width, height: inches. rows: charts, one below the other. The same data gives the same bytes.
    """
    # Only what draws needs matplotlib: the tests of budgets import the measures without it.
    from matplotlib import rc_context
    from matplotlib.figure import Figure

    settings = {"svg.fonttype": "none", "svg.hashsalt": title, "font.size": 10}
    with rc_context(settings):
        figure = Figure(figsize=(width, height), layout="constrained")
        figure.suptitle(title, x=0.01, horizontalalignment="left", fontweight="bold")
        axes = figure.subplots(rows, squeeze=False)[:, 0]
        for one in axes:
            one.spines[["top", "right"]].set_visible(False)
        drawn = Drawing(figure, list(axes))
        yield drawn
        out = io.StringIO()
        figure.savefig(out, format="svg", metadata={"Date": None, "Title": title})
        # Without trailing blanks, which the path data have and git complains of.
        drawn.svg = "\n".join(line.rstrip() for line in out.getvalue().splitlines()) + "\n"


class Drawing:
    """A figure, its charts from top to bottom, and the finished SVG."""

    def __init__(self, figure: Figure, axes: list[Axes]) -> None:
        self.figure, self.axes = figure, axes
        self.svg = ""


def lines(
    title: str, across: str, up: str, series: Mapping[str, Points], log_up: bool = True
) -> str:
    """Lines over a logarithmic x axis, as SVG; each has its own marker and dashes.

    across, up: labels of the axes. log_up: whether the y axis is logarithmic too.
    """
    with drawing(7.5, 3.75, title) as drawn:
        axes = drawn.axes[0]
        for index, (name, points) in enumerate(series.items()):
            axes.plot(
                [x for x, _ in points],
                [y for _, y in points],
                label=name,
                color="black",
                linestyle=_DASHES[index % 4],
                marker=_MARKERS[index % 4],
                markerfacecolor=_FILLS[index % 4],
            )
        axes.set_xscale("log")
        axes.set_yscale("log" if log_up else "linear")
        for axis in (axes.xaxis, axes.yaxis) if log_up else (axes.xaxis,):
            axis.set_major_formatter("{x:,.10g}")
        if not log_up:
            axes.set_ylim(0, 1.2 * max(y for points in series.values() for _, y in points))
        axes.set_xlabel(across)
        axes.set_ylabel(up)
        axes.grid(color="#ccc", linewidth=0.5)
        axes.legend(frameon=False)
    return drawn.svg


def bars(title: str, unit: str, groups: Mapping[str, Mapping[str, float]]) -> str:
    """Horizontal bars, as SVG: group -> name -> value. Each name has its own hatching."""
    names = list(dict.fromkeys(name for group in groups.values() for name in group))
    rows = sum(1 + len(each) for each in groups.values())
    with drawing(7.5, 0.9 + 0.32 * rows, title) as drawn:
        axes = drawn.axes[0]
        labels: list[str] = []
        for group, each in groups.items():
            labels.append(group)
            for name, value in each.items():
                kind = names.index(name) % 4
                bar = axes.barh(
                    len(labels), value, color=_FILLS[kind], hatch=_HATCHES[kind], edgecolor="black"
                )
                shown = f"{value:,.0f}" if value >= 100 else f"{value:.1f}"
                axes.bar_label(bar, [f"{shown} {unit}"], padding=4)
                labels.append(name)
        axes.set_yticks(range(len(labels)), labels)
        for label, text in zip(axes.get_yticklabels(), labels, strict=True):
            label.set_fontweight("bold" if text in groups else "normal")
        axes.tick_params(axis="y", length=0)
        axes.invert_yaxis()
        axes.xaxis.set_visible(False)
        axes.spines["bottom"].set_visible(False)
        axes.margins(x=0.18)
    return drawn.svg
