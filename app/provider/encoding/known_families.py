"""What is known of models by their names, for folders whose files do not say it.

GGUF files, and folders that were exported for other libraries, carry neither prompts nor a
pooling rule. The names are those of the makers' repositories.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

from app.provider.encoding.settings import PoolingMode

Prompts = tuple[tuple[str, str], ...]

_E5: Prompts = (("query", "query: "), ("document", "passage: "))
_BGE: Prompts = (
    ("query", "Represent this sentence for searching relevant passages: "),
    ("document", ""),
)
_BGE_ZH: Prompts = (
    ("query", "为这个句子生成表示以用于检索相关文章\N{FULLWIDTH COLON}"),
    ("document", ""),
)
_INSTRUCT = "Given a web search query, retrieve relevant passages that answer the query"
_QWEN: Prompts = (("query", f"Instruct: {_INSTRUCT}\nQuery:"), ("document", ""))
_E5_INSTRUCT: Prompts = (("query", f"Instruct: {_INSTRUCT}\nQuery: "), ("document", ""))
_NOMIC: Prompts = (
    ("query", "search_query: "),
    ("document", "search_document: "),
    ("clustering", "clustering: "),
    ("classification", "classification: "),
)
_GEMMA: Prompts = (
    ("query", "task: search result | query: "),
    ("document", "title: none | text: "),
)
_JINA: Prompts = (("query", "Query: "), ("document", "Document: "))


@dataclass(frozen=True, slots=True)
class KnownFamily:
    """A family's pooling and prompts. ``dense``: it has layers after the pooling."""

    pooling: PoolingMode
    prompts: Prompts = ()
    dense: bool = False


_TABLE: tuple[tuple[str, KnownFamily], ...] = (
    (r"e5.*-instruct", KnownFamily("mean", _E5_INSTRUCT)),
    (r"e5-mistral", KnownFamily("lasttoken", _E5_INSTRUCT)),
    (r"(multilingual-)?e5-(small|base|large)|koe5", KnownFamily("mean", _E5)),
    (r"bge-m3|kure-v\d|bge-m3-korean", KnownFamily("cls")),
    (r"bge-(small|base|large)-zh", KnownFamily("cls", _BGE_ZH)),
    (r"bge-(small|base|large)(-en)?|bge-micro", KnownFamily("cls", _BGE)),
    (r"mxbai-embed-(large|xsmall|2d)|snowflake-arctic-embed", KnownFamily("cls", _BGE)),
    (r"gte-modernbert", KnownFamily("cls")),
    (r"gte-(small|base|large)", KnownFamily("mean")),
    (r"nomic-embed-text", KnownFamily("mean", _NOMIC)),
    (r"modernbert-embed", KnownFamily("mean", _NOMIC)),
    (r"qwen3-embedding", KnownFamily("lasttoken", _QWEN)),
    (r"embedding-?gemma", KnownFamily("mean", _GEMMA, dense=True)),
    (r"jina-embeddings-v2", KnownFamily("mean")),
    (r"jina-embeddings-v5", KnownFamily("lasttoken", _JINA)),
    (r"(all|paraphrase|multi-qa|msmarco|gtr|sentence-t5)-.*(minilm|mpnet|distil|roberta)|minilm-l\d+",
     KnownFamily("mean")),
    (r"ko-(sroberta|sbert)", KnownFamily("mean")),
)  # fmt: skip
_COMPILED = tuple((re.compile(rf"(?<![a-z0-9])(?:{name})"), known) for name, known in _TABLE)


def known_family(names: Iterable[str]) -> KnownFamily | None:
    """The family that one of the names of a model, of its file or of its folder belongs to."""
    for name in names:
        plain = name.lower().replace("_", "-").replace(" ", "-")
        for pattern, known in _COMPILED:
            if pattern.search(plain):
                return known
    return None


def is_named_reranker(name: str) -> bool:
    """Whether a model's name says that it ranks documents."""
    return "rerank" in name.lower()


def is_named_embedder(name: str) -> bool:
    """Whether a model's name says that it makes embeddings."""
    return re.search(r"embed|(?<![a-z])(e5|bge|gte|kure)(?![a-z])", name.lower()) is not None
