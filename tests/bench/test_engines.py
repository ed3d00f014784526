"""Tokens that the baselines of the workload ``engines`` count; loads and memory of ``switch``."""

import importlib.util
import os
import subprocess
import sys

import pytest

from bench.baselines.driver import driven
from bench.inputs.prompts import chatml
from bench.models import catalogue
from bench.workloads.engines import RIVALS, talk
from bench.workloads.switch import LOADS, Watch
from tests.selection import matrix

pytestmark = pytest.mark.slow

QUESTIONS = [chatml(one) for one in talk(1, 5)]
"""Their answers are of different lengths and end by themselves."""


@pytest.mark.parametrize("engine", [one for one in RIVALS if one != "mlx"] + matrix("mlx"))
def test_a_library_driven_directly_counts_the_same_tokens_however_many_at_a_time(
    engine: str,
) -> None:
    model = catalogue.starter(engine)
    if model is None:
        pytest.skip(f"{catalogue.KINDS[engine].runs_with} is not installed")
    with driven(RIVALS[engine].module, model, 1) as measure:
        alone, _ = measure(QUESTIONS, 64, 1)
        together, seconds = measure(QUESTIONS, 64, 3)
        cut, _ = measure(QUESTIONS, 4, 3)
    assert len(QUESTIONS) * 4 < alone < len(QUESTIONS) * 64
    assert together == alone
    assert cut == len(QUESTIONS) * 4
    assert seconds > 0


@pytest.mark.matrix
def test_all_baselines_count_the_same_tokens() -> None:
    counts = set()
    for engine, rivals in RIVALS.items():
        if model := catalogue.starter(engine):
            with driven(rivals.module, model, 1) as measure:
                counts.add(measure(QUESTIONS[:1], 64, 1)[0])
    assert len(counts) == 1


def test_no_two_questions_begin_alike() -> None:
    texts = [one[0]["content"] for one in [*talk(1, 192), *talk(8, 384)]]
    assert len({text.partition(":")[0] for text in texts}) == len(texts)


def test_what_cannot_be_measured_is_said(
    tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    empty = tmp_path_factory.mktemp("cache")
    there = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda name: None if name == "onnx_ir" else there(name)
    )
    assert catalogue.shape("onnx", empty) is None
    (remark,) = [one for one in catalogue.missing(empty) if "onnx" in one]
    assert "onnx_ir" in remark


def test_the_loads_of_all_models_are_read() -> None:
    text = (
        b'# TYPE sllm_model_load_seconds summary\nsllm_model_load_seconds_count{model="a"} 2.0\n'
        b'sllm_model_load_seconds_sum{model="a"} 9.5\nsllm_model_load_seconds_count{model="b"} 1.0'
    )
    assert LOADS.findall(text) == [b"2.0", b"1.0"]


def test_the_watch_notes_the_most_that_children_held() -> None:
    code = "held = bytearray(50 * 2**20); print(flush=True); input(); del held"
    with Watch(os.getpid()) as watch:
        watch.sample()
        others = watch.most  # engines of servers that tests share
        pipe = subprocess.PIPE
        with subprocess.Popen([sys.executable, "-c", code], stdin=pipe, stdout=pipe) as child:
            assert child.stdout
            child.stdout.readline()
            watch.sample()
            child.communicate(b"\n")
        watch.sample()
    assert 50 * 2**20 < watch.most - others < 200 * 2**20
