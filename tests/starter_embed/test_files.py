"""The files of starter-embed hold the same values, and it finds what it never saw."""

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from gguf import GGUFReader
from tokenizers import Tokenizer

from tests.starter_embed.weights import half_weights
from training.embed_starter import evaluate
from training.embed_starter.engines import Gguf, Onnx
from training.embed_starter.shape import CONTEXT, SIZES
from training.embed_starter.texts import held_out
from training.starter.corpus import LANGUAGES

MODELS = Path("models")
FOLDER, GGUF = MODELS / evaluate.FOLDER, MODELS / evaluate.GGUF
HARD_TEXTS = (
    "👩‍👩‍👧 🇰🇷 é ñ ß 漢字 かな العربية",
    "def f(x):\n\treturn x**2  # 12345 67.89\r\n\n\n   end  ",
    "밟다 뷁 ㅋㅋ 한글과 English를 섞은 1,234원 문장",
    "DON'T we'Ll I'm {\"a\": [1, 2]}",
)


@pytest.fixture(scope="module")
def weights() -> dict[str, np.ndarray]:
    return half_weights(FOLDER)


@pytest.fixture(scope="module")
def by_onnx() -> Onnx:
    return Onnx(FOLDER)


@pytest.fixture(scope="module")
def by_gguf() -> Gguf:
    return Gguf(GGUF)


def test_the_files_are_small_and_readable_by_everyone() -> None:
    files = [GGUF, *(file for file in FOLDER.rglob("*") if file.is_file())]
    assert sum(file.stat().st_size for file in files) < 8_000_000
    assert all(file.stat().st_mode & 0o777 == 0o644 for file in files)


def read(name: str) -> Any:
    return json.loads((FOLDER / name).read_text(encoding="utf-8"))


def test_the_folder_says_how_vectors_are_made() -> None:
    kinds = [module["type"].rsplit(".", 1)[1] for module in read("modules.json")]
    assert kinds == ["Transformer", "Pooling", "Normalize"]
    modes = {name for name, on in read("1_Pooling/config.json").items() if on is True}
    assert modes == {"pooling_mode_mean_tokens", "include_prompt"}
    config = read("config.json")
    assert config["matryoshka_dimensions"] == list(SIZES)
    assert config["hidden_size"] == SIZES[-1]
    assert read("sentence_bert_config.json")["max_seq_length"] == CONTEXT
    assert config["max_position_embeddings"] == CONTEXT
    assert (FOLDER / "README.md").read_text(encoding="utf-8").startswith("---\nlicense: mit\n")


def test_the_graph_holds_the_same_weights(weights: dict[str, np.ndarray]) -> None:
    graph = (FOLDER / "onnx" / "model.onnx").read_bytes()
    for name in ("embeddings.word_embeddings.weight", "embeddings.position_embeddings.weight"):
        assert weights[name].tobytes() in graph
    last = weights["encoder.layer.0.output.dense.weight"]
    assert last.T.tobytes() in graph


def test_the_gguf_holds_the_same_weights(weights: dict[str, np.ndarray]) -> None:
    reader = GGUFReader(GGUF)
    held = {tensor.name: np.asarray(tensor.data) for tensor in reader.tensors}
    assert len(held) == len([name for name in weights if not name.startswith("pooler.")])
    words = weights["embeddings.word_embeddings.weight"]
    assert np.array_equal(held["token_embd.weight"], words)
    bias = weights["encoder.layer.0.output.dense.bias"].astype(np.float32)
    assert np.array_equal(held["blk.0.ffn_down.bias"], bias)
    assert reader.fields["bert.pooling_type"].contents() == 1
    assert reader.fields["general.license"].contents() == "mit"


def test_llama_splits_texts_as_the_tokenizer_does(by_gguf: Gguf) -> None:
    tokenizer = Tokenizer.from_file(str(FOLDER / "tokenizer.json"))
    for text in (*HARD_TEXTS, *(item.question for item in held_out())):
        assert by_gguf.tokens(text) == tokenizer.encode(text).ids, text


def test_both_formats_make_the_same_vectors(by_onnx: Onnx, by_gguf: Gguf) -> None:
    texts = [*HARD_TEXTS, *(item.question for item in held_out()[::9]), "word " * 400]
    assert (by_onnx(texts) * by_gguf(texts)).sum(1).min() > 0.9999


@pytest.mark.parametrize("language", LANGUAGES)
def test_it_beats_the_n_grams_in_each_language(by_onnx: Onnx, language: str) -> None:
    ours, theirs = (share(encode, language, language) for encode in (by_onnx, evaluate.baseline()))
    assert ours >= theirs + evaluate.BETTER, f"{ours:.3f}, n-grams {theirs:.3f}"


@pytest.mark.parametrize("language", LANGUAGES)
def test_it_finds_answers_across_the_languages(by_onnx: Onnx, language: str) -> None:
    found = share(by_onnx, language, evaluate.OTHER[language])
    assert found >= evaluate.ACROSS, found


def share(encode: Callable[[list[str]], np.ndarray], asked: str, answered: str) -> float:
    """Return recall@1 of all held-out questions of a language among the answers in another."""
    items = [item for item in held_out() if item.language == asked]
    assert len(items) > 300
    return evaluate.recall(encode, items, evaluate.answers(answered))


def test_the_first_numbers_of_a_vector_are_good_ones(by_onnx: Onnx) -> None:
    for size in SIZES:
        found = share(lambda texts, size=size: by_onnx(texts)[:, :size], "en", "en")  # type: ignore[misc]
        assert found > 0.5, size


def test_the_report_has_figures_of_every_search() -> None:
    report = (FOLDER / "EVALUATION.md").read_text(encoding="utf-8")
    assert len(re.findall(r"^\| (?:English|Korean)", report, flags=re.M)) == 14
