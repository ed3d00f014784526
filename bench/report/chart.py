"""A picture of a report: one panel per promised figure, one bar per contestant."""

from __future__ import annotations

from pathlib import Path
from textwrap import fill

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from bench.report.figures import COLOURS, CONTESTANTS, FIGURES
from bench.report.goals import GOALS
from bench.report.report import Report, number
from bench.report.samples import Sample, Summary, summary

COLUMNS = 3
BACKGROUND = {"facecolor": "white", "edgecolor": "none", "pad": 0.5}
RISING = {goal.figure for goal in GOALS if goal.relation == "≥"}


def draw(report: Report, path: Path) -> None:
    """Write the chart as a PNG."""
    mpl.rcParams["font.size"] = 9
    titles = list(dict.fromkeys(goal.figure for goal in GOALS))
    shown = [name for name in titles if any(one.figure == name for one in report.samples)]
    rows = -(-len(shown) // COLUMNS)
    figure = Figure(figsize=(12, 2.1 * rows + 0.3), layout="constrained")
    grid = figure.subplots(rows, COLUMNS, squeeze=False).ravel()
    for axes, name in zip(grid, shown, strict=False):
        _panel(axes, name, report.samples)
    for axes in grid[len(shown) :]:
        axes.set_axis_off()
    figure.savefig(path, dpi=110)


def _panel(axes: Axes, name: str, samples: list[Sample]) -> None:
    found = [(who, summary(samples, name, who)) for who in CONTESTANTS]
    known = {who: one for who, one in found if one}
    for place, (who, one) in enumerate(known.items()):
        axes.barh(place, one.median, color=COLOURS[who], height=0.65)
        axes.plot([one.low, one.high], [place, place], color="#24292f", linewidth=1)
        where = (one.high, place)
        axes.annotate(
            number(one.median),
            where,
            (5, 0),
            textcoords="offset points",
            va="center",
            bbox=BACKGROUND,
        )
    _dress(axes, name, known)


def _dress(axes: Axes, name: str, known: dict[str, Summary]) -> None:
    """Title, names, room for the numbers, and the absolute target where there is one."""
    limits = [goal.limit for goal in GOALS if goal.figure == name and goal.peer is None]
    for limit in limits:
        axes.axvline(limit, color="#cf222e", linewidth=1, linestyle="--")
    better = "more is better" if name in RISING else "less is better"
    title = fill(f"{FIGURES[name].label} ({better})", 40)
    axes.set_title(title, fontsize=9, loc="left")
    axes.set_yticks(range(len(known)), list(known))
    longest = max([*limits, *(one.high for one in known.values())])
    axes.set_xlim(0, longest * 1.2 or 1)
    axes.set_ylim(max(len(known), 2) - 0.4, -0.6)
    axes.spines[["top", "right"]].set_visible(False)
