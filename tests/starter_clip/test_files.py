"""The files of starter-clip hold the same values, and it matches pictures that it never saw."""

import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.starter_embed.weights import half_weights
from training.clip_starter import evaluate
from training.clip_starter.engine import Encoder
from training.clip_starter.pictures import SIDE
from training.embed_starter import evaluate as embed

MODELS = Path("models")
FOLDER = MODELS / evaluate.FOLDER
TOGETHER = 12_000_000  # bytes of both encoders that ship with the project


def read(name: str) -> Any:
    return json.loads((FOLDER / name).read_text(encoding="utf-8"))


def test_both_encoders_together_are_small_and_readable_by_everyone() -> None:
    folders = [
        file for name in (evaluate.FOLDER, embed.FOLDER) for file in (MODELS / name).rglob("*")
    ]
    files = [file for file in folders if file.is_file()] + [MODELS / embed.GGUF]
    assert sum(file.stat().st_size for file in files) <= TOGETHER
    assert all(file.stat().st_mode & 0o777 == 0o644 for file in files)


def test_the_folder_is_laid_out_as_clip() -> None:
    config, preprocessor = read("config.json"), read("preprocessor_config.json")
    assert config["model_type"] == "clip"
    assert config["architectures"] == ["CLIPModel"]
    assert preprocessor["size"] == {"height": SIDE, "width": SIDE}
    assert config["vision_config"]["image_size"] == SIDE
    end = config["text_config"]["eos_token_id"]
    assert end == config["text_config"]["vocab_size"] - 1
    assert read("tokenizer.json")["model"]["vocab"]["<|endoftext|>"] == end
    assert (FOLDER / "README.md").read_text(encoding="utf-8").startswith("---\nlicense: mit\n")


def test_the_configuration_says_the_trained_scale() -> None:
    scale = float(half_weights(FOLDER)["logit_scale"])
    assert read("config.json")["logit_scale_init_value"] == scale
    assert 10 < np.exp(scale) <= 100


@pytest.mark.parametrize(
    ("graph", "weight"),
    [
        ("text_model", "text_model.embeddings.token_embedding.weight"),
        ("vision_model", "vision_model.embeddings.patch_embedding.weight"),
    ],
)
def test_the_graphs_hold_the_same_weights(graph: str, weight: str) -> None:
    stored = (FOLDER / "onnx" / f"{graph}.onnx").read_bytes()
    assert half_weights(FOLDER)[weight].tobytes() in stored


@pytest.fixture(scope="module")
def figures() -> dict[str, dict[str, float]]:
    """What it matches of other pictures than those of the report."""
    return evaluate.measure(Encoder(FOLDER), 60, seed=2)


@pytest.mark.parametrize("kind", evaluate.REQUIRED)
@pytest.mark.parametrize("language", ["en", "ko"])
def test_it_matches_pictures_with_words(
    figures: dict[str, dict[str, float]], language: str, kind: str
) -> None:
    assert figures[language][kind] >= 0.93  # of some 40 pictures; EVALUATION.md has all 600


def test_the_reported_figures_are_good_enough() -> None:
    report = (FOLDER / "EVALUATION.md").read_text(encoding="utf-8")
    for kind in evaluate.REQUIRED:
        found = re.search(rf"^\| {kind} \| ([\d.]+) % \| ([\d.]+) % \|$", report, flags=re.M)
        assert found
        assert min(map(float, found.groups())) >= 100 * evaluate.ENOUGH
