"""What is found in a models folder. The files are real GGUF files made here."""

from __future__ import annotations

import shutil
from pathlib import Path

import gguf
import numpy as np
import pytest

from app.provider.catalogue import scan
from app.provider.errors import ModelConflict, ModelNotFound, ModelNotLoadable
from app.provider.gguf.header import TENSOR_TYPES, read_header
from app.provider.pool import ModelPool, PoolConfig
from tests.provider.asking import STARTER, prompt


def write_gguf(path: Path, architecture: str = "llama") -> Path:
    """A GGUF file with metadata of every kind and one tensor."""
    path.parent.mkdir(parents=True, exist_ok=True)
    writer = gguf.GGUFWriter(path, architecture)
    writer.add_name("A model")
    writer.add_license("mit")
    writer.add_context_length(1234)
    writer.add_file_type(gguf.LlamaFileType.MOSTLY_Q8_0)
    writer.add_token_list(["a", "b", "안녕"])
    writer.add_token_scores([0.5, 0.25, 0.125])
    writer.add_bool("general.flag", True)
    writer.add_float64("general.double", 0.5)
    writer.add_tensor("token_embd.weight", np.zeros((64, 64), np.float32))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path


def test_facts_come_from_the_header(tmp_path: Path) -> None:
    write_gguf(tmp_path / "deep" / "er" / "My-Model.Q8_0.gguf")
    (card,) = scan(tmp_path)
    assert (card.id, card.format, card.tasks) == ("My-Model.Q8_0", "gguf", ("chat",))
    assert (card.context_length, card.quantization, card.architecture) == (1234, "Q8_0", "llama")
    assert (card.name, card.licence, card.problem) == ("A model", "mit", None)
    assert card.size_bytes == card.path.stat().st_size


def test_a_gguf_is_recognised_by_its_content_alone(tmp_path: Path) -> None:
    write_gguf(tmp_path / "no-suffix")
    (tmp_path / "liar.gguf").write_text("this is no model, whatever its name says. " * 9)
    (tmp_path / "empty.gguf").touch()
    assert [card.id for card in scan(tmp_path)] == ["no-suffix"]


def test_downloads_in_progress_and_vision_parts_are_left_out(tmp_path: Path) -> None:
    write_gguf(tmp_path / ".incoming" / "half.gguf")
    write_gguf(tmp_path / "mmproj.gguf", architecture="clip")
    assert scan(tmp_path) == []


@pytest.mark.parametrize("share", [0.05, 0.3, 0.9])
def test_a_half_copied_file_is_incomplete(tmp_path: Path, share: float) -> None:
    whole = write_gguf(tmp_path / "whole.gguf").read_bytes()
    (tmp_path / "half.gguf").write_bytes(whole[: int(len(whole) * share)])
    problems = {card.id: card.problem for card in scan(tmp_path)}
    assert problems["whole"] is None
    if len(whole) * share >= 64:
        assert problems["half"] == "The file is incomplete."


def test_the_sizes_of_tensor_types_are_those_of_the_format() -> None:
    sizes = {int(kind): size for kind, size in gguf.GGML_QUANT_SIZES.items()}
    assert {kind: sizes[kind] for kind in TENSOR_TYPES} == TENSOR_TYPES


def test_a_damaged_header_never_raises(tmp_path: Path) -> None:
    whole = bytearray(write_gguf(tmp_path / "model.gguf").read_bytes())
    for at in range(4, 400):
        damaged = whole.copy()
        damaged[at] ^= 0xFF
        path = tmp_path / "damaged.gguf"
        path.write_bytes(damaged)
        assert read_header(path) is not None


def test_the_scan_sees_changes_at_once(tmp_path: Path) -> None:
    assert scan(tmp_path) == []
    path = write_gguf(tmp_path / "new.gguf")
    assert len(scan(tmp_path)) == 1
    path.unlink()
    assert scan(tmp_path) == []


async def test_unknown_and_ambiguous_models_are_explained(tmp_path: Path) -> None:
    write_gguf(tmp_path / "a" / "twin.gguf")
    write_gguf(tmp_path / "b" / "twin.gguf")
    pool = ModelPool(PoolConfig(tmp_path))
    with pytest.raises(ModelNotFound, match="nobody"):
        pool.card("nobody")
    with pytest.raises(ModelNotFound):
        pool.card("../a/twin")
    with pytest.raises(ModelConflict, match=r"'twin': a.twin[.]gguf and b.twin[.]gguf"):
        pool.card("twin")


async def test_an_incomplete_file_is_never_loaded(tmp_path: Path) -> None:
    whole = STARTER.read_bytes()
    (tmp_path / "half.gguf").write_bytes(whole[: len(whole) // 3])
    pool = ModelPool(PoolConfig(tmp_path))
    with pytest.raises(ModelNotLoadable, match="incomplete"):
        await anext(pool.stream("half", prompt("hi")))
    assert pool.health() == {}


def test_the_default_is_the_named_file_then_the_starter(tmp_path: Path) -> None:
    named = write_gguf(tmp_path / "elsewhere" / "mine.gguf")
    write_gguf(tmp_path / "models" / "another.gguf")
    folder = tmp_path / "models"
    assert ModelPool(PoolConfig(folder)).card(None).id == "another"
    shutil.copy(named, folder / "starter.gguf")
    assert ModelPool(PoolConfig(folder)).card(None).id == "starter"
    assert ModelPool(PoolConfig(folder, default_model=named)).card(None).path == named
