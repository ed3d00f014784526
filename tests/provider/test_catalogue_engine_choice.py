"""Which engine serves a folder of safetensors, and what pictures it takes there."""

from __future__ import annotations

import json
import platform
import sys
from pathlib import Path
from typing import Any

import pytest

from app.provider.card import ModelCard
from app.provider.catalogue.engine_choice import engine_for
from app.provider.catalogue.scan import scan
from app.provider.engines.pytorch.hf_folders import NOTICE
from tests.provider.model_files import CONFIG, write_hf, write_mlx

HYPERCLOVAX: dict[str, Any] = {
    "architectures": ["HCXVisionForCausalLM"],
    "model_type": "hyperclovax_vlm",
    "anyres": True,
    "unpad": True,
    "use_1x1_grid": True,
    "max_num_grids": 9,
    "num_queries_vis_abstractor_image": 81,
    "image_token_id": 90,
    "text_config": CONFIG,
    "vision_config": {
        "model_type": "siglip_vision_model",
        "hidden_size": 1152,
        "num_hidden_layers": 27,
        "image_size": 378,
        "patch_size": 14,
    },
}
QWEN = {"architectures": ["Qwen2_5_VLForConditionalGeneration"], "model_type": "qwen2_5_vl"}
LIBRARIES = {"mlx": ("mlx", "mlx_lm"), "pytorch": ("torch", "transformers", "safetensors")}


@pytest.fixture
def with_libraries(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Makes it so that of the two libraries only those are installed that are named."""

    def install(*names: str) -> None:
        for name, modules in LIBRARIES.items():
            for module in modules:
                if name in names:
                    package = tmp_path / "site" / module
                    (package / "models").mkdir(parents=True, exist_ok=True)
                    (package / "__init__.py").touch()
                    (package / "models" / "llama.py").touch()
                    monkeypatch.delitem(sys.modules, module, raising=False)
                else:
                    monkeypatch.setitem(sys.modules, module, None)
        monkeypatch.setitem(sys.modules, "mlx_vlm", None)
        monkeypatch.syspath_prepend(str(tmp_path / "site"))

    return install


@pytest.mark.parametrize(
    ("there", "architecture", "engine"),
    [
        ("mlx apple", "llama", "mlx"),
        ("mlx", "llama", "mlx"),
        ("mlx pytorch apple", "llama", "mlx"),
        ("mlx pytorch apple", "not_known", "pytorch"),
        ("mlx pytorch apple", "../llama", "pytorch"),
        ("mlx pytorch", "llama", "pytorch"),
        ("pytorch apple", "llama", "pytorch"),
        ("mlx apple", "hyperclovax_vlm", "pytorch"),
        ("apple", "hyperclovax_vlm", "pytorch"),
    ],
)
def test_an_engine_is_chosen_by_what_is_there(
    with_libraries: Any,
    monkeypatch: pytest.MonkeyPatch,
    there: str,
    architecture: str,
    engine: str,
) -> None:
    with_libraries(*there.split())
    apple = "apple" in there
    monkeypatch.setattr(sys, "platform", "darwin" if apple else "linux")
    monkeypatch.setattr(platform, "machine", lambda: "arm64" if apple else "x86_64")
    assert engine_for(architecture, by_mlx=False) == (engine, None)
    assert engine_for(architecture, by_mlx=True) == ("mlx", None)


def test_without_either_library_both_ways_are_named(with_libraries: Any, tmp_path: Path) -> None:
    with_libraries()
    assert only(write_hf(tmp_path / "models" / "m")).problem == (
        "It needs MLX or PyTorch, and neither is installed: "
        "run ./run.sh install mlx or ./run.sh install pytorch."
    )
    assert "run.sh install mlx" in (only(write_mlx(tmp_path / "others" / "n")).problem or "")
    clova = write_hf(tmp_path / "more" / "o", HYPERCLOVAX)
    assert "run.sh install pytorch" in (only(clova).problem or "")


def only(folder: Path) -> ModelCard:
    (card,) = scan(folder.parent)
    return card


def with_licence(folder: Path, licence: str) -> Path:
    (folder / "README.md").write_text(f"---\nlicense: {licence}\n---\n")
    return folder


def test_a_hyperclova_x_card_says_what_a_picture_becomes(tmp_path: Path) -> None:
    card = only(write_hf(tmp_path / "m", HYPERCLOVAX))
    assert (card.engine, card.format, card.tasks) == ("pytorch", "hf", ("chat", "vision"))
    assert card.vision
    assert (card.vision.min_tokens, card.vision.max_tokens) == (81, 891)
    assert (card.vision.max_pixels, card.vision.notice) == (9 * 378 * 378, NOTICE)
    assert card.context_length == 2048


@pytest.mark.parametrize(
    ("licence", "notice"),
    [
        ("other\nlicense_name: hyperclovax-seed", NOTICE),
        ("other", NOTICE),
        ("mit", ""),
    ],
)
def test_only_weights_of_naver_carry_its_notice(tmp_path: Path, licence: str, notice: str) -> None:
    card = only(with_licence(write_hf(tmp_path / "m", HYPERCLOVAX), licence))
    assert card.vision
    assert card.vision.notice == notice


def test_a_config_that_makes_no_sense_is_a_problem(tmp_path: Path) -> None:
    folder = write_hf(tmp_path / "m", HYPERCLOVAX, num_queries_vis_abstractor_image=80)
    card = only(folder)
    assert "80, which is no square number" in (card.problem or "")
    assert (card.tasks, card.vision) == (("chat",), None)


def test_qwen_vl_is_shown_pictures_by_pytorch(with_libraries: Any, tmp_path: Path) -> None:
    with_libraries("pytorch")
    folder = write_hf(tmp_path / "models" / "m", CONFIG | QWEN, vision_config={"depth": 2})
    settings = {"min_pixels": 4 * 784, "max_pixels": 64 * 784}
    (folder / "preprocessor_config.json").write_text(json.dumps(settings))
    card = only(folder)
    assert card.vision
    assert (card.vision.min_tokens, card.vision.max_tokens, card.vision.notice) == (4, 64, "")
    assert card.tasks == ("chat", "vision")
