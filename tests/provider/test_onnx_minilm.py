"""all-MiniLM-L6-v2 in onnxruntime: the real weights, in eight bits."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import onnxruntime
import pytest
from numpy.typing import NDArray
from tokenizers import Tokenizer

from app.provider.engine import Engine
from app.provider.errors import InputTooLong
from app.provider.types import TokensPart
from tests.encoders.encoding import answers, encoded, loaded
from tests.encoders.inputs import LONG
from tests.encoders.minilm import INPUTS, copy_folder, vectors
from tests.encoders.pairs import ENGLISH
from tests.provider.real_models import MINILM, MINILM_ONNX, file_of_package, real_model

TOKENS = 256


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The layout of transformers.js."""
    folder = copy_folder(
        real_model(MINILM), tmp_path_factory.mktemp("models") / "minilm", weights=False
    )
    (folder / "onnx").mkdir()
    shutil.copy(file_of_package(*MINILM_ONNX), folder / "onnx" / "model_quantized.onnx")
    return folder


@pytest.fixture(scope="module")
def engine(folder: Path) -> Iterator[Engine]:
    engine = loaded("onnx", folder)
    yield engine
    engine.close()


def plain(folder: Path) -> Iterator[NDArray[np.float32]]:
    """The same file in onnxruntime alone, a text at a time."""
    session = onnxruntime.InferenceSession(folder / "onnx" / "model_quantized.onnx")
    tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
    tokenizer.enable_truncation(TOKENS)
    tokenizer.no_padding()
    for text in INPUTS:
        ids = np.array([tokenizer.encode(text).ids])
        inputs = {"input_ids": ids, "attention_mask": ids * 0 + 1, "token_type_ids": ids * 0}
        (hidden,) = session.run(["last_hidden_state"], inputs)
        mean = hidden[0].mean(axis=0)
        yield mean / np.linalg.norm(mean)


def test_vectors_are_those_of_the_file(engine: Engine, folder: Path) -> None:
    """Each text alone, because the numbers of eight bits depend on the whole batch."""
    for text, expected in zip(INPUTS, plain(folder), strict=True):
        found = encoded(engine, [text], truncate=True)[0]
        np.testing.assert_allclose(found, expected, rtol=0, atol=1e-5)


def test_a_batch_is_near_to_what_sentence_transformers_makes(engine: Engine) -> None:
    found = encoded(engine, INPUTS, truncate=True)
    cosines = np.einsum("ij,ij->i", found, vectors())
    assert cosines.min() > 0.99
    assert np.abs(np.linalg.norm(found, axis=1) - 1).max() < 1e-6


def test_questions_find_their_passages(engine: Engine) -> None:
    questions = encoded(engine, [question for question, _ in ENGLISH])
    passages = encoded(engine, [passage for _, passage in ENGLISH])
    nearest = (questions @ passages.T).argmax(axis=1)
    assert (nearest == np.arange(len(ENGLISH))).mean() >= 0.95


def test_what_is_too_long_is_refused_or_cut(engine: Engine, folder: Path) -> None:
    needed = len(Tokenizer.from_file(str(folder / "tokenizer.json")).encode(LONG).ids)
    longer = LONG * (1 + TOKENS // needed)
    with pytest.raises(InputTooLong) as refused:
        answers(engine, ["short", longer])
    assert (refused.value.index, refused.value.limit) == (1, TOKENS)
    short, cut = answers(engine, ["short", longer], truncate=True)
    assert (short.tokens, short.truncated) == (3, False)
    assert (cut.tokens, cut.truncated) == (TOKENS, True)


def test_tokens_of_the_model(engine: Engine, folder: Path) -> None:
    text = INPUTS[1]
    encoding = Tokenizer.from_file(str(folder / "tokenizer.json")).encode(text)
    tokens = TokensPart(tuple(encoding.ids[: sum(encoding.attention_mask)]))
    np.testing.assert_allclose(
        encoded(engine, [tokens]), encoded(engine, [text]), rtol=0, atol=1e-6
    )
