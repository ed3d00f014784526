"""Which folders the MLX engine loads, how it says why not, and what its samplers mean."""

from __future__ import annotations

import importlib
import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from app.provider.engine import ENGINES, EngineLimits, EngineSpec, load
from app.provider.errors import ModelNotLoadable
from app.provider.types import Sampling
from tests.provider.asking import STARTERS

pytest.importorskip("mlx_lm", reason="mlx: mlx_lm is not installed")


def changed(tmp_path: Path, **config: Any) -> Path:
    """The starter with another configuration."""
    folder = tmp_path / "model"
    shutil.copytree(STARTERS["mlx"], folder)
    settings = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(settings | config))
    return folder


def why_not(folder: Path) -> str:
    with pytest.raises(ModelNotLoadable) as caught:
        load(EngineSpec(ENGINES["mlx"], str(folder), EngineLimits()), lambda _: None)
    return str(caught.value)


@pytest.mark.parametrize(
    ("config", "reason"),
    [
        ({"model_type": "never_heard_of"}, "never_heard_of not supported"),
        ({"model_file": "evil.py"}, "code of its own"),
        ({"num_hidden_layers": 5}, "cannot load"),
        ({"num_hidden_layers": 3}, "cannot load"),
    ],
)
def test_a_folder_that_cannot_be_loaded_says_why(
    tmp_path: Path, config: dict[str, Any], reason: str
) -> None:
    assert reason in why_not(changed(tmp_path, **config))


@pytest.mark.parametrize(
    ("file", "reason"),
    [
        ("config.json", "config.json"),
        ("model.safetensors", "no weights"),
        ("tokenizer.json", "tokenizer.json"),
    ],
)
def test_a_folder_without_a_file_names_it(tmp_path: Path, file: str, reason: str) -> None:
    folder = changed(tmp_path)
    (folder / file).unlink()
    assert reason in why_not(folder)


def test_rotary_settings_of_transformers_5_reach_mlx_lm(tmp_path: Path) -> None:
    """Written only inside ``rope_parameters``, mlx-lm would take its own default."""
    folder = changed(tmp_path)
    settings = json.loads((folder / "config.json").read_text())
    del settings["rope_theta"]
    settings["rope_parameters"]["rope_theta"] = 500.0
    (folder / "config.json").write_text(json.dumps(settings))
    module = importlib.import_module("app.provider.engines.mlx.model")
    model, config = module.load(folder, module.settings(folder))
    assert config["rope_theta"] == 500.0
    assert model.args.rope_theta == 500.0


def test_sampling_filters_mean_what_llama_cpp_means() -> None:
    import mlx.core as mx  # noqa: PLC0415

    sampler = importlib.import_module("app.provider.engines.mlx.sampler")
    likely = mx.log(mx.array([[0.02, 0.5, 0.25, 0.13, 0.1]]))
    neutral = {"temperature": 1.0, "top_k": 0, "top_p": 1.0, "min_p": 0.0, "seed": 1}
    for options, kept in (
        ({"top_k": 2}, {1, 2}),
        ({"top_p": 0.6}, {1, 2}),
        ({"top_k": 4, "top_p": 0.9}, {1, 2, 3, 4}),
        ({"top_k": 3, "top_p": 0.8}, {1, 2}),
        ({"min_p": 0.25}, {1, 2, 3}),
        ({"top_p": 0.0}, {1}),
        ({}, {0, 1, 2, 3, 4}),
    ):
        draw = sampler.make_sampler(Sampling(**(neutral | options)))
        assert {int(draw(likely).item()) for _ in range(300)} == kept, options


def test_penalties_count_the_answer_and_never_the_prompt() -> None:
    import mlx.core as mx  # noqa: PLC0415

    sampler = importlib.import_module("app.provider.engines.mlx.sampler")
    options = Sampling(repeat_penalty=2.0, presence_penalty=0.5, frequency_penalty=0.25)
    (penalise,) = sampler.make_logits_processors(options)
    logits = mx.array([[4.0, -4.0, 1.0]])
    assert penalise(mx.array([0]), logits).tolist() == logits.tolist()
    assert penalise(mx.array([0, 1]), logits).tolist() == [[4.0, -8.75, 1.0]]
    assert penalise(mx.array([0, 1, 0]), logits).tolist() == [[1.25, -8.75, 1.0]]
    assert penalise(mx.array([0, 1, 0, 0]), logits).tolist() == [[1.0, -8.75, 1.0]]
    assert sampler.make_logits_processors(Sampling()) == []
