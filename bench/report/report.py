"""Samples → Markdown, JSON and a chart, side by side under one name."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path

from bench.contestants.servers import OURS
from bench.report.figures import CONTESTANTS, FIGURES
from bench.report.goals import GOALS, Goal, Verdict, judge
from bench.report.samples import Sample, Summary, summary

MARKS = {True: "yes", False: "**no**", None: "not measured"}


@dataclass(frozen=True)
class Report:
    """A finished run: its name, facts of machine and sizes, remarks, and every number."""

    name: str
    facts: dict[str, str]
    remarks: list[str]
    samples: list[Sample]

    def write(self, folder: Path) -> None:
        """Write ``<name>.json`` and ``<name>.md``."""
        folder.mkdir(parents=True, exist_ok=True)
        text = json.dumps(asdict(self), ensure_ascii=False, indent=1)
        (folder / f"{self.name}.json").write_text(text + "\n")
        (folder / f"{self.name}.md").write_text(self.markdown())

    @classmethod
    def read(cls, path: Path) -> Report:
        """A report that was written before."""
        data = json.loads(path.read_text())
        data["samples"] = [Sample(**one) for one in data["samples"]]
        return cls(**data)

    def markdown(self) -> str:
        """The targets, then every figure, then what the numbers depend on."""
        facts = [f"* {name}: {value}" for name, value in self.facts.items()]
        parts = [
            [f"# Benchmark: {self.name}", "", f"![chart]({self.name}.png)"],
            ["## Targets", "", *targets(self.samples)],
            ["## All figures", "", *everything(self.samples)],
            ["## Where and what", "", *facts, *(f"* {remark}" for remark in self.remarks)],
        ]
        return "\n\n".join("\n".join(part) for part in parts) + "\n"


def targets(samples: list[Sample]) -> list[str]:
    """One row per promised figure whose work was run."""
    measured = {sample.figure for sample in samples}
    head = ["| work | ours | peer | ours ÷ peer | target | met |", "|---|---|---|---|---|---|"]
    goals = [goal for goal in GOALS if goal.figure in measured]
    return head + [_target(judge(goal, samples)) for goal in goals]


def everything(samples: list[Sample]) -> list[str]:
    """One row per figure, one column per contestant: median (smallest … largest)."""
    present = {sample.contestant for sample in samples}
    names = [name for name in CONTESTANTS if name in present]
    head = [f"| figure | {' | '.join(names)} |", "|---" * (len(names) + 1) + "|"]
    figures = {sample.figure for sample in samples}
    return head + [_figure(figure, names, samples) for figure in FIGURES if figure in figures]


def _target(verdict: Verdict) -> str:
    goal = verdict.goal
    peer = f"{verdict.rival}: {spread(verdict.peer)}" if goal.peer else ""
    times = number(verdict.reached.median) if goal.peer and verdict.reached else ""
    label = FIGURES[goal.figure].label
    who = label if goal.contestant == OURS else f"{label} ({goal.contestant})"
    cells = [who, spread(verdict.ours), peer, times]
    return f"| {' | '.join([*cells, aim(goal), MARKS[verdict.met]])} |"


def aim(goal: Goal) -> str:
    """The target in words."""
    if goal.peer:
        spread_counts = ", or within its spread" if goal.within_spread else ""
        return f"{goal.relation} {goal.limit:g} of {goal.peer}{spread_counts}"
    return f"{goal.relation} {goal.limit:g} {FIGURES[goal.figure].unit}".rstrip()


def _figure(figure: str, names: list[str], samples: list[Sample]) -> str:
    cells = [spread(summary(samples, figure, name)) for name in names]
    return f"| {FIGURES[figure].label} | {' | '.join(cells)} |"


def spread(one: Summary | None) -> str:
    """``median (smallest … largest)``."""
    if one is None:
        return "-"
    if one.low == one.high:
        return number(one.median)
    return f"{number(one.median)} ({number(one.low)} … {number(one.high)})"


def number(value: float) -> str:
    """Three significant digits, thousands whole."""
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"
