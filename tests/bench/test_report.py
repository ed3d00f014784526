"""The pure parts of the benchmark: statistics, verdicts, tables, the vocabulary."""

from dataclasses import replace
from pathlib import Path

import pytest

from bench.models import qwen2
from bench.report import overview
from bench.report.figures import FIGURES
from bench.report.goals import GOALS, Goal, judge
from bench.report.report import Report, number, targets
from bench.report.samples import Sample, Summary, ratio, summary

SAMPLES = [
    Sample("streams.8", "ours", 0, 60.0),
    Sample("streams.8", "raw loop", 0, 50.0),
    Sample("streams.8", "ours", 1, 30.0),
    Sample("streams.8", "raw loop", 1, 40.0),
    Sample("streams.8", "ours", 2, 33.0),
    Sample("streams.8", "raw loop", 2, 30.0),
]


def test_a_summary_is_the_median_with_its_spread() -> None:
    assert summary(SAMPLES, "streams.8", "ours") == Summary(33.0, 30.0, 60.0)


def test_nothing_measured_has_no_summary() -> None:
    assert summary(SAMPLES, "streams.1", "ours") is None


def test_a_ratio_pairs_the_rounds() -> None:
    paired = ratio(SAMPLES, "streams.8", "ours", "raw loop")
    assert paired == Summary(33 / 30, 30 / 40, 60 / 50)


@pytest.mark.parametrize(("limit", "met"), [(1.0, True), (1.1, True), (1.2, False)])
def test_a_goal_is_met_by_the_median(limit: float, met: bool) -> None:
    assert judge(Goal("streams.8", "≥", limit, "raw loop"), SAMPLES).met is met


def test_a_goal_without_its_peer_is_neither_met_nor_missed() -> None:
    assert judge(Goal("streams.8", "≥", 1.0, "llama-server"), SAMPLES).met is None


def test_the_raw_loop_is_the_faster_of_its_two_ways() -> None:
    faster = [Sample("streams.8", "raw loop, KV streams", number, 60.0) for number in range(3)]
    slower = [replace(sample, value=20.0) for sample in faster]
    goal = Goal("streams.8", "≥", 1.0, "raw loop")
    assert judge(goal, [*SAMPLES, *faster]).rival == "raw loop, KV streams"
    assert judge(goal, [*SAMPLES, *faster]).met is False
    assert judge(goal, [*SAMPLES, *slower]).rival == "raw loop"
    (row,) = [row for row in targets([*SAMPLES, *faster]) if "raw loop" in row]
    assert "raw loop, KV streams: 60" in row


@pytest.mark.parametrize(("ours", "met"), [(33.0, True), (50.0, True), (51.0, False)])
def test_within_the_spread_of_the_peer_counts_as_equal(ours: float, met: bool) -> None:
    before = [
        Sample("gap.worst", "ours, before", number, 30.0 + 10 * number) for number in (0, 1, 2)
    ]
    mine = [Sample("gap.worst", "ours", number, ours) for number in (0, 1, 2)]
    goal = Goal("gap.worst", "≤", 0.5, "ours, before", within_spread=True)
    assert judge(goal, [*before, *mine]).met is met
    assert judge(replace(goal, within_spread=False), [*before, *mine]).met is False


def test_a_missed_goal_is_shown() -> None:
    rows = targets([*SAMPLES, Sample("echo.p50", "ours", 0, 4.5)])
    (row,) = [row for row in rows if "echo" in row]
    assert row == "| echo, v1 chat, 1 client, median, ms | 4.5 |  |  | ≤ 3 ms | **no** |"


def test_a_goal_may_be_that_of_another_contestant() -> None:
    goal = Goal("streams.8", "≤", 40.0, contestant="raw loop")
    assert judge(goal, SAMPLES).ours == Summary(40.0, 30.0, 50.0)
    assert judge(goal, SAMPLES).met is True


def test_a_target_says_whose_it_is_unless_ours() -> None:
    rows = targets([Sample("store.large.turn.p99", "store functions", 0, 7.4)])
    (row,) = [row for row in rows if "turn" in row]
    assert row == (
        "| large store: store a turn, p99, ms (store functions) | 7.4 |  |  | ≤ 10 ms | yes |"
    )


def test_every_goal_has_a_name() -> None:
    assert {goal.figure for goal in GOALS} <= FIGURES.keys()


def test_a_report_is_read_back_as_written(tmp_path: Path) -> None:
    report = Report("small", {"cores": "2"}, ["a remark"], SAMPLES)
    report.write(tmp_path)
    assert Report.read(tmp_path / "small.json") == report
    assert "| 8 streams, total, tok/s | 33 (30 … 60) |" in (tmp_path / "small.md").read_text()


@pytest.mark.parametrize(
    ("value", "text"), [(0.04321, "0.0432"), (1.5, "1.5"), (74.26, "74.3"), (1834.2, "1,834")]
)
def test_numbers_have_three_digits(value: float, text: str) -> None:
    assert number(value) == text


def test_the_vocabulary_has_the_real_size_and_no_token_twice() -> None:
    tokens = qwen2.vocabulary()
    assert len(tokens) == len(set(tokens)) == qwen2.VOCAB
    assert tokens[qwen2.FIRST_WORD] == "Ġbaba"
    assert tokens[qwen2.FIRST_SPECIAL] == "<|endoftext|>"


def reported(folder: Path, ours: float, theirs: float) -> None:
    figures = (("streams.8", ours, theirs), ("gap.worst", theirs, ours))
    samples = [
        Sample(figure, who, number, value)
        for figure, *both in figures
        for who, value in zip(("ours", "llama-server"), both, strict=True)
        for number in range(2)
    ]
    Report("latest", {}, [], samples).write(folder)


def test_the_overview_says_how_many_times_as_good_whether_more_or_less_is_better(
    tmp_path: Path,
) -> None:
    reported(tmp_path, 60.0, 30.0)
    report = Report.read(tmp_path / "latest.json")
    rows = [row for row in overview.ROWS if row.figure in {"streams.8", "gap.worst"}]
    assert [overview.times(row, report) for row in rows] == [Summary(2.0, 2.0, 2.0)] * 2


def test_the_overview_is_of_the_reports_that_are_there(tmp_path: Path) -> None:
    assert overview.bars(tmp_path) == []
    reported(tmp_path, 60.0, 30.0)
    assert {row.figure for row, _ in overview.bars(tmp_path)} == {"streams.8", "gap.worst"}


def test_every_bar_of_the_overview_is_of_a_report_that_is_kept() -> None:
    results = Path(__file__).parents[2] / "bench" / "results"
    assert [row for row, _ in overview.bars(results)] == list(overview.ROWS)
