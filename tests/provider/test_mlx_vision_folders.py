"""Folders of models that see in the MLX engine: which load, what converting keeps, memory."""

from __future__ import annotations

import asyncio
import importlib
import importlib.util
import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from app.provider.card import Vision
from app.provider.catalogue.folder import chat_template
from app.provider.catalogue.scan import scan
from app.provider.conversion.convert import Conversion, convert
from app.provider.engine import EngineLimits
from app.provider.engines.mlx.format import need, read
from app.provider.errors import ModelNotLoadable
from app.provider.generation.tokenizer import HubTokenizer
from app.provider.pool.hardware import resident_bytes
from tests.provider.asking import MODELS, ask, collect, host_of
from tests.provider.mlx_driver import LONG, WHAT, Driver, driver
from tests.provider.pictures import noise, shown
from tests.provider.qwen_vl_files import CONFIG, TEMPLATE, write_qwen_vl

pytest.importorskip("mlx_lm", reason="mlx: mlx_lm is not installed")
pytest.importorskip("mlx_vlm", reason="mlx: mlx_vlm is not installed")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_qwen_vl(tmp_path_factory.mktemp("models") / "tiny-vl")


@pytest.fixture(scope="module")
def converted(folder: Path) -> Path:
    """The same model as MLX writes it."""
    made = folder.parent / "by-mlx"
    importlib.import_module("app.provider.engines.mlx.convert").convert(folder, made)
    return made


@pytest.fixture(scope="module")
def mlx(folder: Path) -> Iterator[Driver]:
    """An engine; tests that must not share prefixes name owners of their own."""
    made = driver(folder)
    yield made
    made.engine.close()


@pytest.mark.parametrize(
    ("config", "reason"),
    [
        ({"num_hidden_layers": 3}, "cannot load"),
        ({"vision_config": CONFIG["vision_config"] | {"depth": 4}}, "cannot load"),
        ({"vision_config": CONFIG["vision_config"] | {"out_hidden_size": 32}}, "cannot load"),
        ({"model_file": "evil.py"}, "code of its own"),
    ],
)
def test_a_folder_that_cannot_be_loaded_says_why(
    folder: Path, tmp_path: Path, config: dict[str, Any], reason: str
) -> None:
    made = tmp_path / "model"
    made.mkdir()
    for file in folder.iterdir():
        (made / file.name).symlink_to(file)
    (made / "config.json").unlink()
    (made / "config.json").write_text(json.dumps(CONFIG | config))
    with pytest.raises(ModelNotLoadable, match=reason):
        driver(made)


def test_the_card_says_what_the_model_takes(converted: Path) -> None:
    card = read(converted)
    assert card
    assert card.tasks == ("chat", "vision")
    assert card.vision == Vision(min_tokens=4, max_tokens=64, max_pixels=64 * 784)
    assert card.problem is None


def test_without_mlx_vlm_the_card_says_how_to_install_it(
    converted: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    find = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda name: None if name == "mlx_vlm" else find(name)
    )
    card = read(converted)
    assert card
    assert "./run.sh install mlx" in str(card.problem)


def test_the_template_that_writes_pictures_goes_before_that_of_the_tokeniser(
    folder: Path, tmp_path: Path
) -> None:
    made = tmp_path / "two"
    shutil.copytree(folder, made)
    settings = json.loads((made / "tokenizer_config.json").read_text())
    (made / "chat_template.json").write_text(json.dumps({"chat_template": TEMPLATE}))
    text_only = "{{ messages[0].content }}"
    (made / "tokenizer_config.json").write_text(json.dumps(settings | {"chat_template": text_only}))
    assert HubTokenizer(made).chat_templates["default"] == chat_template(made) == TEMPLATE


def test_settings_of_transformers_5_are_read(folder: Path, mlx: Driver, tmp_path: Path) -> None:
    """It nests what is of the text, and renames the rotary settings and the weights."""
    import mlx.core as mx  # noqa: PLC0415

    made = write_qwen_vl(tmp_path / "new")
    outside = ("architectures", "model_type", "vision_config", "image_token_id")
    text = {key: value for key, value in CONFIG.items() if key not in outside}
    rope = {**text.pop("rope_scaling"), "rope_theta": text.pop("rope_theta")}
    config = {key: CONFIG[key] for key in outside}
    config["text_config"] = {**text, "model_type": "qwen2_5_vl_text", "rope_parameters": rope}
    (made / "config.json").write_text(json.dumps(config))
    weights: Any = mx.load(str(made / "model.safetensors"))
    renamed = {
        name.replace("visual.", "model.visual.")
        .replace("model.layers", "model.language_model.layers")
        .replace("model.norm", "model.language_model.norm")
        .replace("model.embed", "model.language_model.embed"): weight
        for name, weight in weights.items()
    }
    mx.save_safetensors(str(made / "model.safetensors"), renamed)
    asked = (noise(300, 200, 20), WHAT)
    assert driver(made).ask(asked).text == mlx.ask(asked, owner="five").text


def test_what_was_converted_answers_like_the_original(converted: Path, mlx: Driver) -> None:
    assert not packed(converted)
    asked = (noise(300, 200, 21), WHAT)
    assert driver(converted).ask(asked).text == mlx.ask(asked, owner="converted").text


def test_eight_bits_see_too(folder: Path, tmp_path: Path) -> None:
    importlib.import_module("app.provider.engines.mlx.convert").convert(
        folder, tmp_path / "made", 8
    )
    assert packed(tmp_path / "made")
    mlx = driver(tmp_path / "made")
    assert len({mlx.ask((noise(112, 84, seed), WHAT)).text for seed in range(3)}) == 3


def test_four_bits_are_tried_with_a_picture_before_they_appear(
    folder: Path, tmp_path: Path
) -> None:
    made = convert(Conversion(folder, "mlx"), tmp_path, EngineLimits(threads=1))
    assert packed(made)
    (card,) = scan(tmp_path)
    assert (card.tasks, card.problem) == (("chat", "vision"), None)
    assert card.quantization == "4-bit"


def packed(folder: Path) -> set[str]:
    """The quantised layers, none of which looks at pictures."""
    import mlx.core as mx  # noqa: PLC0415

    weights: Any = mx.load(str(folder / "model.safetensors"))
    names = {name for name in weights if name.endswith(".scales")}
    assert any(name.startswith("vision_tower.") for name in weights)
    assert not any(name.startswith("vision_tower.") for name in names)
    return names


# ---------------------------------------------------------------- memory


STARTER = MODELS / "starter-vision-mlx"


@pytest.mark.matrix
@pytest.mark.skipif(not STARTER.exists(), reason="starter-vision-mlx is not there")
async def test_memory_is_what_was_predicted() -> None:
    limits: dict[str, Any] = {
        "slots": 2,
        "context_length": 512,
        "prefix_cache_bytes": 3 * 2**20,
        "vision_cache_bytes": 2**18,
    }
    card = read(STARTER)
    assert card
    predicted = need(card, EngineLimits(**limits))
    host = host_of("mlx", path=STARTER, **limits)
    await ask(host, WHAT)
    pid = host.status().pid
    assert pid
    taken = [resident_bytes(pid)]
    for turn in range(0, 16, 2):
        pictures = (shown((noise(196, 196, turn + row), LONG)) for row in range(2))
        await asyncio.gather(*(collect(host.stream(one)) for one in pictures))
    taken.append(resident_bytes(pid))
    await host.stop()
    assert taken == pytest.approx([predicted.at_start, predicted.total], rel=0.15)
