"""The sentence for whatever a library raises while a model loads."""

from __future__ import annotations

import errno
import os
import signal
import sys
from pathlib import Path

import pytest

from app.provider.errors import ContextOverflow, ModelNotLoadable
from app.provider.headers.bounds import check_folder, check_tokens
from app.provider.runtime.load_errors import crash, refusal, sentence


def test_paths_of_this_machine_are_cut_to_names(tmp_path: Path) -> None:
    model = tmp_path / "a b" / "x, y.gguf"
    model.parent.mkdir()
    message = f"cannot open '{model}' beside {model.parent}/config.json in {sys.prefix}/lib/mlx"
    assert sentence(message, str(model)) == "cannot open 'x, y.gguf' beside config.json in mlx"
    assert sentence(f"{tmp_path}: denied") == f"{tmp_path.name}: denied"


def test_a_path_behind_a_link_is_cut_as_well(tmp_path: Path) -> None:
    (tmp_path / "store of models").mkdir()
    (tmp_path / "store of models" / "x.gguf").touch()
    link = tmp_path / "y.gguf"
    link.symlink_to(tmp_path / "store of models" / "x.gguf")
    assert sentence(f"no {os.path.realpath(link)}, no {link}", str(link)) == "no x.gguf, no y.gguf"


@pytest.mark.parametrize(
    "message",
    [
        "see https://huggingface.co/docs/usr/bin for more",
        "node /model/layers.0/attn/MatMul has no input",
        "1/2 of blk.0/attn",
        "모델을 읽을 수 없습니다 🙂",
    ],
)
def test_what_is_no_path_stays(message: str) -> None:
    assert sentence(message) == message


def test_a_sentence_is_short_and_can_be_sent_and_stored() -> None:
    shortened = sentence("a\n  b\0c \ud800 " + "x" * 10_000)
    assert shortened.startswith("a b\ufffdc \ufffd x")
    assert shortened.endswith("…")
    assert len(shortened) < 600
    shortened.encode()


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (RecursionError("maximum recursion depth exceeded"), "nested too deeply"),
        (UnicodeDecodeError("utf-8", b"\xff", 0, 1, "invalid start byte"), "not valid UTF-8"),
        (KeyError("hidden_size"), "'hidden_size'"),
        (ValueError("a list\nof tensors"), "a list"),
        (ZeroDivisionError(), "ZeroDivisionError"),
        (BaseException("a panic"), "a panic"),
        (ContextOverflow(5, 4), "needs 5 tokens"),
        (ModelNotLoadable("The folder is empty."), "The folder is empty."),
    ],
)
def test_any_error_is_a_refusal(error: BaseException, words: str) -> None:
    refused = refusal(error, "")
    assert refused.lasting
    assert words in str(refused)
    assert "\n" not in str(refused)


def wrapped(cause: BaseException) -> ModelNotLoadable:
    error = ModelNotLoadable("The library cannot load this model.")
    error.__cause__ = cause
    return error


@pytest.mark.parametrize(
    "error",
    [
        MemoryError(),
        ImportError("libgomp.so.1: cannot open shared object file"),
        OSError(errno.EMFILE, "Too many open files"),
        RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 9 bytes"),
        RuntimeError("std::bad_alloc"),
        wrapped(MemoryError()),
        wrapped(ImportError("needs timm")),
        ModelNotLoadable("Not today.", lasting=False),
    ],
)
def test_what_another_day_may_not_have_is_told_apart(error: BaseException) -> None:
    assert not refusal(error, "").lasting


def test_a_kind_of_model_that_a_library_does_not_know_is_no_missing_library() -> None:
    unknown = ValueError("Model type x not supported.")
    unknown.__cause__ = ModuleNotFoundError("mlx_lm.models.x")
    assert refusal(wrapped(unknown), "").lasting


@pytest.mark.parametrize("code", [-signal.SIGSEGV, -signal.SIGABRT, -signal.SIGILL, 0, 1])
def test_a_crash_is_a_refusal(code: int) -> None:
    refused = crash(code)
    assert refused
    assert "crashed while loading" in str(refused)


@pytest.mark.parametrize("code", [-signal.SIGKILL, -signal.SIGTERM])
def test_what_is_killed_from_outside_has_not_crashed(code: int) -> None:
    assert crash(code) is None


@pytest.mark.parametrize(
    "config",
    [
        {"max_position_embeddings": -1},
        {"max_position_embeddings": True},
        {"text_config": {"max_position_embeddings": 2**31}},
        {"num_hidden_layers": 2**31},
        {"vision_config": {"depth": 10**9}},
        {"num_experts": 10**6},
        {"eos_token_id": 2**31},
        {"text_config": {"bos_token_id": [1, 2**70]}},
        {"eos_token_id": -1},
    ],
)
def test_numbers_that_cannot_be_are_refused(tmp_path: Path, config: dict[str, object]) -> None:
    with pytest.raises(ModelNotLoadable, match="damaged or were converted wrongly"):
        check_folder(tmp_path, config)


def test_ids_beside_the_configuration_are_checked_too(tmp_path: Path) -> None:
    (tmp_path / "generation_config.json").write_text('{"eos_token_id": [2, -100]}')
    with pytest.raises(ModelNotLoadable, match="eos_token_id is -100"):
        check_folder(tmp_path, {})


def test_a_token_beyond_the_vocabulary_is_refused_where_the_library_takes_another() -> None:
    with pytest.raises(ModelNotLoadable, match="eos_token_id is 100, but the model has only 100"):
        check_tokens("eos_token_id", [2, 100], words=100)
    check_tokens("eos_token_id", [2, 99], words=100)


def test_the_default_end_of_transformers_is_no_harm_in_a_small_model(tmp_path: Path) -> None:
    check_folder(tmp_path, {"vocab_size": 100, "eos_token_id": 50256})


def test_what_files_leave_out_or_say_otherwise_is_left_to_the_library(tmp_path: Path) -> None:
    config = {
        "max_position_embeddings": None,
        "eos_token_id": None,
        "pad_token_id": -1,
        "n_layer": "x",
    }
    check_folder(tmp_path, config)
    check_tokens("eos_token_id", "x", 5)
