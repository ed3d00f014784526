"""all-MiniLM-L6-v2 in llama.cpp: the real weights, in half precision."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from tokenizers import Tokenizer

from app.provider.engine import Engine, EngineLimits
from app.provider.engines.gguf.format import need, read
from app.provider.pool.hardware import resident_bytes
from app.provider.types import TextPart
from tests.encoders.encoding import encoded, loaded
from tests.encoders.gguf_files import write_encoder
from tests.encoders.minilm import INPUTS, copy_folder, vectors
from tests.encoders.pairs import ENGLISH
from tests.provider.encoder_asking import encode, encoder_host, texts
from tests.provider.real_models import KEPT, MINILM, real_model

TOKENS = 256
TEXTS = (
    *INPUTS,
    "Ça va? ÀÉÎÕÜ ñ ß İstanbul ǅ, e\u0301 is \u00e9",
    "日本語のテキスト、漢字とかな。 한국어 문장을 임베딩하는 방법",
    "a\tb\nc\r\nd\u00a0e\u200bf\u3000g \u0000\ufffd control \u0007 characters",
    "[SEP] in the text [MASK] and [CLS]",
    "1,234.56€ & <html> C++/C# #tag @user 🤷‍♂️ ½ ² ™ ﬁ Ⅳ №",
    f"{'x' * 101} {'y' * 100} {'中' * 101}",
    "Ελληνικά, Русский й ё, ภาษาไทย नमस्ते العربية مَرْحَبًا",
    " ",
)
"""What tokenizers differ in."""


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The converted model, which is kept for later runs."""
    kept = KEPT / ".files" / "all-minilm-l6-v2-f16.gguf"
    source = real_model(MINILM)
    kept.parent.mkdir(exist_ok=True)
    if not kept.exists():
        folder = copy_folder(source, tmp_path_factory.mktemp("minilm"))
        begun = kept.with_name(f"{kept.name}.{os.getpid()}")
        write_encoder(folder, begun).rename(kept)
    return kept


@pytest.fixture(scope="module")
def engine(file: Path) -> Iterator[Engine]:
    """With the limit of the model's own folder, which a GGUF file does not hold."""
    engine = loaded("gguf", file, context_length=TOKENS)
    yield engine
    engine.close()


def test_vectors_are_those_of_sentence_transformers(engine: Engine) -> None:
    found = encoded(engine, INPUTS, truncate=True)
    assert np.einsum("ij,ij->i", found, vectors()).min() > 0.9999


def test_tokens_are_those_of_its_own_tokenizer(engine: Engine) -> None:
    tokenizer = Tokenizer.from_file(str(real_model(MINILM) / "tokenizer.json"))
    tokenizer.enable_truncation(TOKENS)
    tokenizer.no_padding()
    runner = engine._runner  # type: ignore[attr-defined]
    for text in TEXTS:
        found = runner.prepare(TextPart(text), index=0, prompt="", truncate=True).tokens
        assert list(found) == tokenizer.encode(text).ids, text


def test_questions_find_their_passages(engine: Engine) -> None:
    questions = encoded(engine, [question for question, _ in ENGLISH])
    passages = encoded(engine, [passage for _, passage in ENGLISH])
    nearest = (questions @ passages.T).argmax(axis=1)
    assert (nearest == np.arange(len(ENGLISH))).mean() >= 0.95


async def test_memory_is_what_was_predicted(file: Path) -> None:
    """After an input that is as long as the model takes."""
    card = read(file)
    assert card
    host = encoder_host("gguf", file)
    found = await encode(host, texts("word " * 600, truncate=True))
    assert found.encoded[0].tokens == 512
    pid = host.status().pid
    assert pid
    taken = resident_bytes(pid)
    await host.stop()
    assert taken == pytest.approx(need(card, EngineLimits()).total, rel=0.15)
