"""What the list says of encoders in GGUF files, and which it refuses."""

from __future__ import annotations

import struct
from pathlib import Path

import pytest

from app.provider.card import EncoderFacts, ModelCard
from app.provider.catalogue.scan import scan
from tests.provider.gguf_bytes import LIST, STRING, Pair, listed, pair, text, words, write

CROSS = ("cls.weight", "cls.output.weight")


def count(key: str, value: int) -> Pair:
    return pair(key, 4, struct.pack("<I", value))


def card(
    folder: Path,
    architecture: str = "bert",
    *pairs: Pair,
    name: str = "m",
    tensors: tuple[str, ...] = ("t",),
    tokenizer: str = "t5",
) -> ModelCard:
    """The card of a file with vectors of 64 numbers."""
    tokens = pair("tokenizer.ggml.tokens", LIST, listed(STRING, [text(b"a"), text(b"b")]))
    usual = [
        words("general.architecture", architecture),
        words("tokenizer.ggml.model", tokenizer),
        count(f"{architecture}.embedding_length", 64),
        tokens,
    ]
    write(folder / f"{name}.gguf", [*usual, *pairs], tensors=tensors)
    (found,) = scan(folder)
    return found


def labels(architecture: str, *names: str) -> Pair:
    values = listed(STRING, [text(name.encode()) for name in names])
    return pair(f"{architecture}.classifier.output_labels", LIST, values)


def pooling(architecture: str, kind: int) -> Pair:
    return count(f"{architecture}.pooling_type", kind)


# ------------------------------------------------------------------ what it is


@pytest.mark.parametrize(("kind", "word"), [(1, "mean"), (2, "cls"), (3, "lasttoken")])
@pytest.mark.parametrize("architecture", ["bert", "qwen3", "eurobert"])
def test_a_file_with_a_pooling_makes_embeddings(
    tmp_path: Path, architecture: str, kind: int, word: str
) -> None:
    found = card(tmp_path, architecture, pooling(architecture, kind))
    assert (found.tasks, found.kind) == (("embedding",), "embedding")
    causal = architecture == "qwen3"
    assert found.encoder == EncoderFacts(dimensions=64, pooling=word, causal=causal)


def test_vectors_may_be_wider_than_the_model(tmp_path: Path) -> None:
    wide = count("bert.embedding_length_out", 96)
    found = card(tmp_path, "bert", pooling("bert", 1), wide).encoder
    assert found
    assert found.dimensions == 96


@pytest.mark.parametrize(
    ("architecture", "pairs", "tensors"),
    [
        ("bert", (pooling("bert", 4),), CROSS),
        ("bert", (), CROSS),
        ("bert", (labels("bert", "LABEL_0"),), CROSS),
        ("modern-bert", (labels("modern-bert", "LABEL_0"),), CROSS),
        ("qwen3", (pooling("qwen3", 4), labels("qwen3", "yes", "no")), ("cls.output.weight",)),
    ],
)
def test_a_file_with_a_head_of_scores_is_a_reranker(
    tmp_path: Path, architecture: str, pairs: tuple[Pair, ...], tensors: tuple[str, ...]
) -> None:
    found = card(tmp_path, architecture, *pairs, tensors=tensors)
    causal = architecture == "qwen3"
    assert found.kind == "rerank"
    assert found.encoder == EncoderFacts(dimensions=1, causal=causal)
    assert found.problem is None


def test_the_head_of_a_split_model_may_lie_in_any_part(tmp_path: Path) -> None:
    parts = [
        words("general.architecture", "bert"),
        words("tokenizer.ggml.model", "t5"),
        pair("tokenizer.ggml.tokens", LIST, listed(STRING, [text(b"a")])),
    ]
    write(tmp_path / "m-00001-of-00002.gguf", parts)
    write(tmp_path / "m-00002-of-00002.gguf", [], tensors=CROSS)
    assert [found.kind for found in scan(tmp_path)] == ["rerank"]


def test_a_language_model_stays_one(tmp_path: Path) -> None:
    found = card(tmp_path, "qwen3", pooling("qwen3", 0), name="Qwen3-0.6B", tokenizer="gpt2")
    assert (found.kind, found.encoder, found.problem) == ("chat", None, None)


# ------------------------------------------------------------------ names


@pytest.mark.parametrize(
    ("name", "query", "document"),
    [
        ("multilingual-e5-small-Q8_0", "query: ", "passage: "),
        ("KoE5", "query: ", "passage: "),
        ("bge-small-en-v1.5", "Represent this sentence for searching relevant passages: ", ""),
        ("nomic-embed-text-v1.5.Q4_K_M", "search_query: ", "search_document: "),
        ("embeddinggemma-300M", "task: search result | query: ", "title: none | text: "),
        (
            "Qwen3-Embedding-0.6B-f16",
            "Instruct: Given a web search query, retrieve relevant passages that answer the query"
            "\nQuery:",
            "",
        ),
        (
            "multilingual-e5-large-instruct",
            "Instruct: Given a web search query, retrieve relevant passages that answer the query"
            "\nQuery: ",
            "",
        ),
        ("bge-m3", None, None),
        ("bge-m3-e57", None, None),
    ],
)
def test_prompts_are_known_by_the_name_of_the_file(
    tmp_path: Path, name: str, query: str | None, document: str | None
) -> None:
    facts = card(tmp_path, "bert", pooling("bert", 1), name=name).encoder
    assert facts
    prompts = dict(facts.prompts)
    assert (prompts.get("query"), prompts.get("document")) == (query, document)


def test_prompts_are_known_by_the_name_inside_the_file(tmp_path: Path) -> None:
    inside = words("general.name", "Multilingual E5 Small")
    facts = card(tmp_path, "bert", pooling("bert", 1), inside).encoder
    assert facts
    assert dict(facts.prompts) == {"query": "query: ", "document": "passage: "}


def test_a_pooling_that_the_file_states_is_not_overruled(tmp_path: Path) -> None:
    facts = card(tmp_path, "bert", pooling("bert", 2), name="e5-small").encoder
    assert facts
    assert facts.pooling == "cls"


def test_a_pooling_that_is_known_by_name_stands_in(tmp_path: Path) -> None:
    found = card(tmp_path, "bert", name="bge-small-en-v1.5")
    assert found.encoder
    assert found.encoder.pooling == "cls"
    assert found.problem is None


def test_an_embedder_whose_file_looks_like_a_language_model_is_known_by_name(
    tmp_path: Path,
) -> None:
    found = card(tmp_path, "qwen3", name="Qwen3-Embedding-0.6B-Q8_0", tokenizer="gpt2")
    assert found.kind == "embedding"
    assert found.encoder
    assert found.encoder.pooling == "lasttoken"


# ------------------------------------------------------------------ refusals


@pytest.mark.parametrize(
    ("architecture", "name", "tensors", "tokenizer_and_why"),
    [
        ("bert", "ms-marco", ("cls.output.weight",), ("bert", "reranker of the BERT kind")),
        ("bert", "distil", CROSS, ("bert", "reranker of the BERT kind")),
        ("bert", "xlmr", ("cls.output.weight",), ("t5", "reranker of the BERT kind")),
        ("qwen3", "Qwen3-Reranker-0.6B", ("t",), ("gpt2", "without its head")),
        ("jina-bert-v2", "jina-reranker-v1-tiny-en", ("cls.weight",), ("gpt2", "without its head")),
        ("gemma", "bge-reranker-v2-gemma", ("t",), ("llama", "without its head")),
        ("gemma-embedding", "embeddinggemma-300m", ("dense_2.weight",), ("llama", "dense_3")),
        ("bert", "some-model", ("t",), ("bert", "pooling_type")),
        ("jina-bert-v3", "jina-embeddings-v3", ("t",), ("t5", "adapter for each task")),
    ],
)
def test_what_llama_cpp_would_compute_wrongly_is_refused(
    tmp_path: Path,
    architecture: str,
    name: str,
    tensors: tuple[str, ...],
    tokenizer_and_why: tuple[str, str],
) -> None:
    tokenizer, why = tokenizer_and_why
    found = card(tmp_path, architecture, name=name, tensors=tensors, tokenizer=tokenizer)
    assert why in (found.problem or "")
    assert "chat" not in found.tasks


def test_a_classifier_of_many_kinds_ranks_nothing(tmp_path: Path) -> None:
    kinds = labels("bert", "joy", "anger", "fear")
    found = card(tmp_path, "bert", kinds, tensors=CROSS)
    assert found.problem == "It sorts texts into 3 classes, so it ranks none."


def test_gte_qwen2_is_refused_unless_its_file_says_that_it_looks_both_ways(tmp_path: Path) -> None:
    found = card(tmp_path, "qwen2", pooling("qwen2", 3), name="gte-Qwen2-1.5B-instruct")
    assert "looks at the text after each token too" in (found.problem or "")
    both = pair("qwen2.attention.causal", 7, b"\0")
    found = card(tmp_path, "qwen2", pooling("qwen2", 3), both, name="gte-Qwen2-1.5B-instruct")
    assert found.problem is None
    assert found.encoder
    assert not found.encoder.causal


def test_embeddinggemma_with_its_dense_layers_is_not_refused_for_them(tmp_path: Path) -> None:
    dense = ("dense_2.weight", "dense_3.weight")
    mean = pooling("gemma-embedding", 1)
    found = card(tmp_path, "gemma-embedding", mean, tensors=dense, tokenizer="llama")
    assert found.problem is None
