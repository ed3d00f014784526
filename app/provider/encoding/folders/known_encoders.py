"""What is known of published encoders by their names.

GGUF files, and folders that were exported for other libraries, hold neither prompts nor, often,
the pooling. Sources are the model cards and the files beside the original weights.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from app.provider.encoding.folders.settings import PoolingMode

Prompts = tuple[tuple[str, str], ...]

_SEARCH = "Given a web search query, retrieve relevant passages that answer the query"
_PASSAGES = "Represent this sentence for searching relevant passages: "


@dataclass(frozen=True, slots=True)
class KnownEncoder:
    """How the vectors of tokens become one, where the file does not say so, and the prompts.

    ``has_dense``: layers follow the pooling, without which the vectors are wrong. ``ending`` is
    the token after each text, which older files do not put there.
    """

    pooling: PoolingMode
    prompts: Prompts = ()
    has_dense: bool = False
    ending: str = ""


_GEMMA: Prompts = (
    ("query", "task: search result | query: "),
    ("document", "title: none | text: "),
    ("BitextMining", "task: search result | query: "),
    ("Clustering", "task: clustering | query: "),
    ("Classification", "task: classification | query: "),
    ("InstructionRetrieval", "task: code retrieval | query: "),
    ("MultilabelClassification", "task: classification | query: "),
    ("PairClassification", "task: sentence similarity | query: "),
    ("Reranking", "task: search result | query: "),
    ("Retrieval", "task: search result | query: "),
    ("Retrieval-query", "task: search result | query: "),
    ("Retrieval-document", "title: none | text: "),
    ("STS", "task: sentence similarity | query: "),
    ("Summarization", "task: summarization | query: "),
)
_NOMIC: Prompts = (
    ("query", "search_query: "),
    ("document", "search_document: "),
    ("clustering", "clustering: "),
    ("classification", "classification: "),
)
_E5: Prompts = (("query", "query: "), ("document", "passage: "))
_INSTRUCT: Prompts = (("query", f"Instruct: {_SEARCH}\nQuery: "), ("document", ""))
_QWEN: Prompts = (("query", f"Instruct: {_SEARCH}\nQuery:"), ("document", ""))
_BGE: Prompts = (("query", _PASSAGES), ("document", ""))
_BGE_ZH: Prompts = (("query", "为这个句子生成表示以用于检索相关文章\uff1a"), ("document", ""))
_JINA: Prompts = (("query", "Query: "), ("document", "Document: "))
_ARCTIC_2: Prompts = (("query", "query: "), ("document", ""))

_KNOWN = (
    (r"qwen3-embedding", KnownEncoder("lasttoken", _QWEN, ending="<|endoftext|>")),
    (r"embedding-?gemma", KnownEncoder("mean", _GEMMA, has_dense=True)),
    (r"nomic-embed-text|modernbert-embed", KnownEncoder("mean", _NOMIC)),
    (r"e5-mistral", KnownEncoder("lasttoken", _INSTRUCT)),
    (r"\be5-\w+-instruct", KnownEncoder("mean", _INSTRUCT)),
    (r"\b(ko)?e5(-|\b)", KnownEncoder("mean", _E5)),
    (r"bge-(micro|small|base|large)-zh", KnownEncoder("cls", _BGE_ZH)),
    (r"bge-(small|base|large)-en", KnownEncoder("cls", _BGE)),
    (r"bge-m3|kure-v\d", KnownEncoder("cls")),
    (r"mxbai-embed", KnownEncoder("cls", _BGE)),
    (r"arctic-embed-\w+-v2", KnownEncoder("cls", _ARCTIC_2)),
    (r"arctic-embed", KnownEncoder("cls", _BGE)),
    (r"granite-embedding", KnownEncoder("cls")),
    (r"gte-modernbert|gte-multilingual", KnownEncoder("cls")),
    (r"\bgte-(small|base|large)", KnownEncoder("mean")),
    (r"jina-embeddings-v5", KnownEncoder("lasttoken", _JINA)),
    (r"all-minilm|all-mpnet|all-distilroberta|jina-embeddings-v2", KnownEncoder("mean")),
    (r"\bparaphrase-\S*(minilm|mpnet|distilroberta)|\bmulti-qa-\S*-cos", KnownEncoder("mean")),
    (r"\bko-(sroberta|sbert)", KnownEncoder("mean")),
)


def known_encoder(*names: str) -> KnownEncoder | None:
    """What is known of a model with one of these names."""
    spelled = [re.sub(r"[\s_.]+", "-", name.lower()) for name in names]
    return next(
        (known for pattern, known in _KNOWN for name in spelled if re.search(pattern, name)), None
    )


def is_named_embedder(*names: str) -> bool:
    """Whether a language model is known, or calls itself, one that makes vectors."""
    return known_encoder(*names) is not None or any("embed" in name.lower() for name in names)


def is_named_reranker(*names: str) -> bool:
    """Whether one of the names says that the model ranks documents."""
    return any("rerank" in name.lower() for name in names)
