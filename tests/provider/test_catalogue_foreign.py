"""Folders of strangers: the list says what the loader would say, with the cause and the remedy."""

from __future__ import annotations

import ast
import importlib.util
import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from app.provider.catalogue.engine_choice import refusal
from app.provider.catalogue.scan import scan
from app.provider.engines.onnx.settings import read_settings
from app.provider.errors import ModelNotLoadable
from app.provider.generation.tokenizer import HubTokenizer
from tests.provider.model_files import GENAI, write_hf, write_mlx, write_onnx

POINTER = b"version https://git-lfs.github.com/spec/v1\noid sha256:%s\nsize 98362432\n" % (
    b"0" * 64
)
PAGE = b"<!doctype html>\n<html><head><title>Sign in</title></head></html>\n"
WRITERS = [write_hf, write_mlx, write_onnx]


def problem(folder: Path) -> str:
    (card,) = scan(folder)
    return card.problem or ""


# ------------------------------------------------------------------ what is no file of a model


@pytest.mark.parametrize(
    ("content", "why"),
    [(POINTER, "run `git lfs pull`"), (PAGE, "is a web page"), (bytes(99), "holds only zeros")],
)
@pytest.mark.parametrize("write", WRITERS)
def test_what_came_instead_of_a_file_is_named(
    tmp_path: Path, write: Callable[[Path], Path], content: bytes, why: str
) -> None:
    folder = write(tmp_path / "m")
    for path in list(folder.iterdir()):
        kept = path.read_bytes()
        path.write_bytes(content)
        found = problem(tmp_path)
        assert path.name in found
        assert why in found
        path.write_bytes(kept)
    assert problem(tmp_path) == ""


@pytest.mark.parametrize("write", WRITERS)
def test_links_that_lead_nowhere_are_named(tmp_path: Path, write: Callable[[Path], Path]) -> None:
    folder = write(tmp_path / "models" / "m")
    kept = tmp_path / "kept"
    for name in sorted(os.listdir(folder)):
        (folder / name).rename(kept)
        (folder / name).symlink_to(tmp_path / "blobs" / name)
        assert f"{name} is a link to a file that is not there" in problem(folder.parent)
        (folder / name).unlink()
        kept.rename(folder / name)
    shutil.move(folder, tmp_path / "blobs")
    folder.mkdir()
    for name in os.listdir(tmp_path / "blobs"):
        (folder / name).symlink_to(tmp_path / "blobs" / name)
    linked = problem(folder.parent)  # as in the cache of a hub
    assert ("copy the file into it" in linked) if write is write_onnx else not linked
    shutil.rmtree(tmp_path / "blobs")
    assert "is a link to a file that is not there" in problem(folder.parent)


# ------------------------------------------------------------------ tokenizer and template


@pytest.mark.parametrize("write", WRITERS)
@pytest.mark.parametrize("name", ["tokenizer.model", "vocab.json", "vocab.txt", "tiktoken.model"])
def test_every_engine_wants_tokenizer_json(
    tmp_path: Path, write: Callable[[Path], Path], name: str
) -> None:
    folder = write(tmp_path / "m")
    (folder / "tokenizer.json").rename(folder / name)
    assert f"It has {name} but no tokenizer.json" in problem(tmp_path)
    with pytest.raises(ModelNotLoadable):
        HubTokenizer(folder)


@pytest.mark.parametrize("content", [b"[]", b"text}", b"{", b"\xff\xfe{}"])
def test_a_tokenizer_of_another_form_is_damaged(tmp_path: Path, content: bytes) -> None:
    folder = write_hf(tmp_path / "m")
    (folder / "tokenizer.json").write_bytes(content)
    assert "tokenizer.json is " in problem(tmp_path)
    with pytest.raises(ModelNotLoadable):
        HubTokenizer(folder)


@pytest.mark.parametrize("name", ["tokenizer_config.json", "chat_template.json"])
def test_settings_of_a_tokenizer_that_are_damaged_are_told(tmp_path: Path, name: str) -> None:
    folder = write_hf(tmp_path / "m")
    (folder / name).write_text('{"chat_template": "half')
    assert f"{name} is damaged or cut off" in problem(tmp_path)


def test_a_template_in_another_encoding_is_told(tmp_path: Path) -> None:
    folder = write_hf(tmp_path / "m")
    (folder / "chat_template.jinja").write_bytes("안녕 {{ messages }}".encode("cp949"))
    assert "chat_template.jinja is not UTF-8" in problem(tmp_path)
    (folder / "chat_template.jinja").write_bytes("안녕 {{ messages }}".encode())
    assert problem(tmp_path) == ""


def test_a_template_that_is_too_long_is_told(tmp_path: Path) -> None:
    folder = write_hf(tmp_path / "m")
    own = folder / "chat_template.jinja"
    for length in (65_537, 300_000):
        own.write_text("x" * length)
        assert "chat template has more than 65,536 letters" in problem(tmp_path)
    own.unlink()
    (folder / "tokenizer_config.json").write_text(json.dumps({"chat_template": "x" * 65_537}))
    assert "chat template has more than 65,536 letters" in problem(tmp_path)


# ------------------------------------------------------------------ what libraries refuse


def test_packed_weights_are_refused_in_the_list(tmp_path: Path) -> None:
    write_hf(tmp_path / "m", quantization_config={"quant_method": "gptq", "bits": 4})
    assert "packed: take the original model" in problem(tmp_path)


def test_code_of_an_mlx_model_is_refused_in_the_list(tmp_path: Path) -> None:
    folder = write_mlx(tmp_path / "m")
    config = json.loads((folder / "config.json").read_text()) | {"model_file": "mine.py"}
    (folder / "config.json").write_text(json.dumps(config))
    assert "brings code of its own" in problem(tmp_path)


@pytest.mark.parametrize("write", [write_hf, write_mlx])
def test_an_architecture_that_no_library_knows_is_refused_in_the_list(
    tmp_path: Path, write: Callable[[Path], Path]
) -> None:
    folder = write(tmp_path / "m")
    config = json.loads((folder / "config.json").read_text()) | {"model_type": "unheard_of"}
    (folder / "config.json").write_text(json.dumps(config))
    assert problem(tmp_path).startswith("No engine here runs the architecture unheard_of: ")


def table(source: str, name: str) -> set[str]:
    """The keys of a table of transformers' source, which takes ten seconds to import."""
    for node in ast.parse(source).body:
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == name:
            call = node.value
            assert isinstance(call, ast.Call)
            return {key for key, _ in ast.literal_eval(call.args[0])}
    raise AssertionError(name)


def test_the_list_knows_the_architectures_of_transformers() -> None:
    spec = importlib.util.find_spec("transformers")
    assert spec
    assert spec.origin
    source = (Path(spec.origin).parent / "models" / "auto" / "modeling_auto.py").read_text()
    causal = table(source, "MODEL_FOR_CAUSAL_LM_MAPPING_NAMES")
    assert len(causal) > 100
    assert [name for name in causal if refusal("pytorch", name, {})] == []
    seen = {"qwen2_5_vl", "hyperclovax_vision_v2", "vlm"}
    others = table(source, "MODEL_MAPPING_NAMES") - causal - seen
    assert [name for name in others if not refusal("pytorch", name, {})] == []


def test_the_list_knows_the_architectures_of_mlx() -> None:
    utils = importlib.import_module("mlx_lm.utils")
    folder = Path(str(utils.__file__)).parent / "models"
    names = {path.stem for path in folder.glob("*.py")} | set(utils.MODEL_REMAPPING)
    known = sorted(names - {"qwen2_5_vl", "qwen2_vl"})
    assert [name for name in known if refusal("mlx", name, {})] == []
    assert refusal("mlx", "../utils", {})


@pytest.mark.parametrize(
    "changes",
    [
        {"inputs": {}},
        {"inputs": []},
        {"outputs": None},
        {"outputs": {"logits": "logits", "present_key_names": "k", "present_value_names": "v"}},
        {"head_size": "many"},
        {"num_hidden_layers": float("inf")},
        {"num_key_value_heads": None},
    ],
)
def test_settings_that_the_onnx_engine_refuses_are_told(
    tmp_path: Path, changes: dict[str, Any]
) -> None:
    decoder = GENAI["model"]["decoder"] | changes  # type: ignore[operator]
    folder = write_onnx(tmp_path / "m", decoder=decoder)
    with pytest.raises(ModelNotLoadable) as refused:
        read_settings(folder)
    assert problem(tmp_path) == str(refused.value)
