"""Pictures of reports.

Of one: a panel per promised figure, a bar per contestant. Of all: how this server stands beside
its peers.
"""

from __future__ import annotations

from math import log
from pathlib import Path
from textwrap import fill

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import NullLocator

from bench.contestants.servers import LLAMA_SERVER, OURS
from bench.report.figures import COLOURS, CONTESTANTS, FIGURES
from bench.report.goals import GOALS
from bench.report.overview import Row, bars
from bench.report.report import Report, number
from bench.report.samples import Sample, Summary, summary

COLUMNS = 3
BACKGROUND = {"facecolor": "white", "edgecolor": "none", "pad": 0.5}
INK = "#24292f"
TICKS = (0.5, 1, 2, 5, 10, 20)
LEVEL = log(1 / TICKS[0]) / log(TICKS[-1] / TICKS[0])
"""Where 1 stands on the scale of the overview, as a share of its width."""
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
        _mark(axes, place, one, number(one.median), one.high)
    _dress(axes, name, known)


def _mark(axes: Axes, place: int, one: Summary, words: str, end: float) -> None:
    """Draw the spread over a bar, and words behind its end."""
    axes.plot([one.low, one.high], [place, place], color=INK, linewidth=1)
    axes.annotate(
        words, (end, place), (5, 0), textcoords="offset points", va="center", bbox=BACKGROUND
    )


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


def draw_overview(folder: Path) -> None:
    """Write ``overview.png`` from the reports in the folder; nothing without a figure of theirs."""
    shown = bars(folder)
    if not shown:
        return
    mpl.rcParams["font.size"] = 9
    figure = Figure(figsize=(9, 0.34 * len(shown) + 1), layout="constrained")
    figure.suptitle("How many times as good as the other server, measured in the same run")
    axes = figure.subplots()
    for place, (_, one) in enumerate(shown):
        _bar(axes, place, one)
    _dress_overview(axes, [row for row, _ in shown])
    figure.savefig(folder / "overview.png", dpi=110)


def _bar(axes: Axes, place: int, one: Summary) -> None:
    better = OURS if one.median >= 1 else LLAMA_SERVER
    axes.barh(place, one.median - 1, left=1, color=COLOURS[better], height=0.6)
    _mark(axes, place, one, f"{one.median:.2f}", max(one.high, 1))


def _dress_overview(axes: Axes, rows: list[Row]) -> None:
    """Names, the line of equals, and a scale on which twice and half are as far from it."""
    axes.set_yticks(range(len(rows)), [f"{row.label}  (beside {row.peer})" for row in rows])
    axes.invert_yaxis()
    axes.set_xscale("log")
    axes.set_xticks(TICKS, [f"{tick:g}" for tick in TICKS])
    axes.xaxis.set_minor_locator(NullLocator())
    axes.set_xlim(TICKS[0], TICKS[-1])
    axes.set_xlabel("← the other is better     this one is better →", x=LEVEL)
    axes.axvline(1, color=INK, linewidth=1)
    axes.spines[["top", "right"]].set_visible(False)
