"""``python -m bench [WORKLOAD …] [--quick]``: measure, and write a table and a chart."""

from __future__ import annotations

import argparse
import subprocess
from dataclasses import replace
from pathlib import Path

from bench import machine
from bench.contestants import encoder_servers
from bench.contestants.encoder_servers import PEER, contestants
from bench.contestants.process import ROOT
from bench.contestants.servers import (
    LLAMA_SERVER,
    MLX_SERVER,
    MLX_VLM_NEEDS,
    MLX_VLM_SERVER,
    PACKAGED,
    available,
)
from bench.models import catalogue, encoders, qwen2, smollm2, vision_catalogue
from bench.plan import FULL, QUICK, SHORT, Plan
from bench.quiet import PAUSE_SECONDS, STRETCH_SECONDS, Quiet
from bench.report import chart
from bench.report.report import Report, targets
from bench.report.samples import Sample
from bench.workloads import WORKLOADS

CACHE = ROOT / ".cache" / "bench"
RESULTS = ROOT / "bench" / "results"
STARTER = ROOT / "models" / "starter.gguf"
CONVERSING = {"streams", "prefix", "turns", "gap", "cached", "openai", "workers"}
"""Workloads that a real model takes part in."""
QUICK_SIZES = "Quick sizes: the targets are those of the full run."
SHORT_SIZES = "Short conversations: turns of 250 tokens, a long prompt of 500."
MISSING = {
    LLAMA_SERVER: "llama-server not measured: LLAMA_SERVER names no binary.",
    PACKAGED: "llama_cpp.server not measured: its extra is not installed.",
    MLX_SERVER: "mlx_lm.server not measured: the extra mlx is not installed.",
    MLX_VLM_SERVER: "mlx_vlm.server not measured: MLX_VLM_PYTHON names no Python, and this one "
    f"lacks one of {', '.join(MLX_VLM_NEEDS)}.",
}


def main() -> None:
    """Run the chosen workloads one after the other and write the report."""
    options = _options()
    if options.again:
        _write(Report.read(options.again), options.again.parent)
        return
    plan = _plan(options)
    remarks = [*_missing(plan, options.workloads), *_conditions(options)]
    report = Report(_name(options), machine.facts(), remarks, [])
    quiet = Quiet(options.lock, pause=options.pause, stretch=options.stretch)
    for workload in options.workloads:
        report.remarks.append(_measure(workload, plan, quiet, report.samples))
        report.write(options.results)  # after each workload: a run of minutes may be broken off
    _write(report, options.results)
    print("\n".join(targets(report.samples)))


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument(
        "workloads", nargs="*", metavar="WORKLOAD", help=f"of: {' '.join(WORKLOADS)}"
    )
    parser.add_argument("--quick", action="store_true", help="small sizes, one round")
    parser.add_argument("--short", action="store_true", help="shorter conversations")
    parser.add_argument("--rounds", type=int, help="how often every contestant is measured")
    parser.add_argument(
        "--before", type=Path, metavar="PATH", help="another checkout, measured in the same rounds"
    )
    parser.add_argument("--name", help="file name of the results")
    parser.add_argument("--results", type=Path, default=RESULTS, help="folder of the results")
    _add_lock(parser)
    parser.add_argument("--again", type=Path, metavar="JSON", help="only rewrite table and chart")
    options = parser.parse_args()
    if unknown := set(options.workloads) - WORKLOADS.keys():
        parser.error(f"no such workload: {', '.join(sorted(unknown))}")
    if options.before and not (options.before / "app" / "cli").is_dir():
        parser.error(f"no checkout of this project: {options.before}")
    options.workloads = options.workloads or list(WORKLOADS)
    return options


def _add_lock(parser: argparse.ArgumentParser) -> None:
    lock = parser.add_argument_group("sharing the machine with other work")
    lock.add_argument(
        "--lock", type=Path, metavar="FILE", help="hold an exclusive flock on it while measuring"
    )
    lock.add_argument(
        "--stretch", type=float, default=STRETCH_SECONDS, help="seconds held before a pause"
    )
    lock.add_argument(
        "--pause", type=float, default=PAUSE_SECONDS, help="seconds released between samples"
    )


def _plan(options: argparse.Namespace) -> Plan:
    print("· writing or fetching the models, unless they are there", flush=True)
    scale = QUICK if options.quick else SHORT if options.short else FULL
    before = options.before.resolve() if options.before else None
    return Plan(
        replace(scale, rounds=options.rounds or scale.rounds),
        available(before),
        machine.cores(),
        qwen2.ensure(CACHE / "qwen2-0.5b-random-q8_0.gguf"),
        STARTER,
        CACHE,
        smollm2.ensure(CACHE) if CONVERSING & {*options.workloads} else None,
        before,
    )


def _name(options: argparse.Namespace) -> str:
    """The whole is ``latest``; a part never overwrites it."""
    whole = options.workloads == list(WORKLOADS)
    parts = [] if whole else [*options.workloads]
    kind = ["quick"] if options.quick else ["latest"] if whole else []
    return str(options.name or "-".join([*parts, *kind]))


def _measure(workload: str, plan: Plan, quiet: Quiet, samples: list[Sample]) -> str:
    """Add the workload's samples; a remark on the conditions."""
    print(f"· {workload}", flush=True)
    neighbours = machine.Neighbours()
    for sample in quiet.samples(WORKLOADS[workload](plan), neighbours):
        print(f"  {sample.figure:18} {sample.contestant:18} {sample.value:10.4g}", flush=True)
        samples.append(sample)
    seconds, percent = neighbours.seconds, neighbours.percent()
    return f"{workload}: {seconds:.0f} s, other processes took {percent:.0f} % of the processor."


def _missing(plan: Plan, workloads: list[str]) -> list[str]:
    remarks = [text for name, text in MISSING.items() if name not in plan.servers]
    if not plan.starter.exists():
        remarks.append("Starter model not measured: its file is not there.")
    if CONVERSING & {*workloads} and not plan.smollm2:
        remarks.append(smollm2.MISSING)
    if "engines" in workloads:
        remarks += catalogue.missing(CACHE)
    if "vision" in workloads:
        remarks += vision_catalogue.missing()
    if "encoders" in workloads:
        remarks += [] if encoders.ensure(CACHE) else [encoders.MISSING]
        remarks += [] if PEER in contestants() else [encoder_servers.MISSING]
    return remarks


def _conditions(options: argparse.Namespace) -> list[str]:
    """Which sizes, and which commits."""
    sizes = [QUICK_SIZES] if options.quick else [SHORT_SIZES] if options.short else []
    commits = {"ours": ROOT} | ({"ours, before": options.before} if options.before else {})
    return sizes + [f"{who}: commit {_commit(root)}." for who, root in commits.items()]


def _commit(root: Path) -> str:
    command = ["git", "-C", str(root), "describe", "--always", "--dirty"]
    found = subprocess.run(command, capture_output=True, text=True, check=False)
    return found.stdout.strip() or "unknown"


def _write(report: Report, folder: Path) -> None:
    report.write(folder)
    chart.draw(report, folder / f"{report.name}.png")
    chart.draw_overview(folder)
    print(f"· wrote {report.name}.md, .json and .png", flush=True)


if __name__ == "__main__":
    main()
