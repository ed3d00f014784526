"""Files of HyperCLOVA X with other projectors, and those that are damaged: each is named."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from app.provider.architectures.hyperclovax.config import parse_config
from app.provider.errors import ModelNotLoadable

torch = pytest.importorskip("torch", reason="pytorch: torch is not installed")
pytest.importorskip("transformers", reason="pytorch: transformers is not installed")
torch.set_num_threads(1)  # several wait for each other where other programs compute, too

from safetensors.numpy import save_file

from app.provider.architectures.hyperclovax.loading import load
from tests.provider.hyperclovax_files import (
    MAIN,
    OLD,
    PREPROCESSOR,
    SIZE,
    TEXT,
    VISION,
    write_hyperclovax,
)


@pytest.mark.parametrize("kind", ["linear", "mlp", "inverted_mlp"])
def test_projectors_that_keep_every_feature(tmp_path: Path, kind: str) -> None:
    weights = write_hyperclovax(tmp_path / "m", mm_projector_type=kind)
    random = np.random.default_rng(2)
    own = {name: one for name, one in weights.items() if not name.startswith("mm_projector.")}
    wide = VISION["hidden_size"] * (2 if kind == "inverted_mlp" else 1)
    shapes = {
        "linear": {"": (TEXT["hidden_size"], VISION["hidden_size"])},
        "mlp": {".fc1": (wide, VISION["hidden_size"]), ".fc2": (TEXT["hidden_size"], wide)},
    }["linear" if kind == "linear" else "mlp"]
    for name, shape in shapes.items():
        own[f"mm_projector{name}.weight"] = random.normal(0, 0.2, shape).astype(np.float32)
        own[f"mm_projector{name}.bias"] = random.normal(0, 0.2, shape[:1]).astype(np.float32)
    save_file(own, tmp_path / "m" / "model.safetensors")
    model = load(tmp_path / "m", torch.float32)
    assert len(model.encode(torch.randn(2, 3, SIZE, SIZE), 126, 126)) == 81 + 9 * 10
    assert model.config.tiling.tokens(126, 126) == 81 + 9 * 10


def refused(folder: Path) -> str:
    with pytest.raises(ModelNotLoadable) as caught:
        load(folder, torch.float32)
    return str(caught.value)


def rewritten(folder: Path, **changes: Any) -> Path:
    """A model some of whose tensors are others; None takes one away."""
    weights: dict[str, Any] = write_hyperclovax(folder) | changes
    save_file({n: t for n, t in weights.items() if t is not None}, folder / "model.safetensors")
    return folder


NAME = "mm_projector.net.2.b2.se.fc1.weight"


@pytest.mark.parametrize(
    ("name", "tensor", "why"),
    [
        (NAME, None, "lack 1 tensors"),
        (NAME, np.zeros((3, 32, 1, 1), np.float32), "is 3x32x1x1, not 8x32x1x1"),
        (NAME, np.zeros((8, 32, 1, 1), np.int8), "is packed as torch.int8"),
        ("mm_projector.net.2.b4.se.fc1.weight", np.zeros(1, np.float32), "not known"),
        ("image_newline", None, "image_newline"),
        ("language_model.model.embed_tokens.weight", None, "embed_tokens"),
    ],
)
def test_a_tensor_that_does_not_fit_is_named(
    tmp_path: Path, name: str, tensor: Any, why: str
) -> None:
    message = refused(rewritten(tmp_path / "m", **{name: tensor}))
    assert why in message
    assert name in message


def test_files_that_are_cut_off_or_missing_are_refused(tmp_path: Path) -> None:
    write_hyperclovax(tmp_path / "m")
    weights = tmp_path / "m" / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-100])
    assert "model.safetensors is damaged" in refused(tmp_path / "m")
    weights.unlink()
    assert "no weights" in refused(tmp_path / "m")
    (tmp_path / "m" / "config.json").write_text("{")
    assert "config.json cannot be read" in refused(tmp_path / "m")


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"model_type": "llama"}, "not that of a hyperclovax_vlm"),
        ({"text_config": {}}, "no language model"),
        ({"text_config": TEXT | {"model_type": "mamba"}}, "mamba"),
        ({"text_config": TEXT | {"hidden_size": "many"}}, "lacks hidden_size"),
        ({"vision_config": VISION | {"model_type": "clip_vision_model"}}, "clip_vision_model"),
        ({"use_nth_layer": 1}, "use_nth_layer 1"),
        ({"use_nth_layer": -9}, "use_nth_layer -9"),
        ({"num_queries_vis_abstractor_image": 10}, "is 10, which is no square"),
        ({"image_token_id": None}, "no placeholder"),
        ({"mm_projector_type": "qformer"}, "qformer"),
    ],
)
def test_a_config_that_makes_no_sense_is_explained(changes: dict[str, Any], why: str) -> None:
    with pytest.raises(ModelNotLoadable) as caught:
        parse_config(MAIN | changes, PREPROCESSOR)
    assert why in str(caught.value)


@pytest.mark.parametrize(
    "changes",
    [
        {"possible_resolutions": [[126, 100]]},
        {"possible_resolutions": "all"},
        {"possible_resolutions": [[126 * 1000, 126]]},
        {"resample": 9},
        {"image_mean": [0.5]},
        {"image_std": [0, 0, 0]},
    ],
)
def test_a_preprocessor_that_makes_no_sense_is_explained(changes: dict[str, Any]) -> None:
    with pytest.raises(ModelNotLoadable):
        parse_config(MAIN, PREPROCESSOR | changes)


def test_both_layouts_say_the_same() -> None:
    main, old = parse_config(MAIN, PREPROCESSOR), parse_config(OLD, PREPROCESSOR)
    assert (main.text, main.tiling, main.image_token) == (old.text, old.tiling, old.image_token)
    assert (main.video, main.pixels, main.layers) == (old.video, old.pixels, old.layers)
    assert (main.list_content, old.list_content) == (True, False)
