"""Texts of a known number of MiniLM's tokens, requests with them, and requests with pictures."""

from __future__ import annotations

import base64
import json
import random
from pathlib import Path

from bench.contestants.connection import post
from bench.inputs.pictures import picture
from bench.inputs.texts import FREQUENT
from bench.models.encoders import EMBEDDER, IMAGES, RERANKER

FRAME = 2
"""Tokens that the tokenizer puts around a text."""
LENGTHS = {"short": (16, 16), "long": (200, 200), "mixed": (8, 252)}
"""Fewest and most tokens of a text, evenly drawn."""
DOCUMENTS = 100
_OF_A_DOCUMENT = 64
_OF_A_QUERY = 12
_SIZE = (320, 240)


def vocabulary(folder: Path) -> list[str]:
    """Frequent words that are one token each."""
    tokens = json.loads((folder / "tokenizer.json").read_text())["model"]["vocab"]
    return [word for word in FREQUENT.split() if word in tokens]


def texts(kind: str, seed: str, count: int, words: list[str]) -> list[str]:
    """So many texts, the same ones for the same seed."""
    drawn = random.Random(f"{kind} {seed}")
    fewest, most = LENGTHS[kind]
    return [_text(drawn, drawn.randint(fewest, most) - FRAME, words) for _ in range(count)]


def _text(drawn: random.Random, length: int, words: list[str]) -> str:
    return " ".join(drawn.choices(words, k=length))


def embedding(text: str | list[str]) -> bytes:
    """A request, ready to send."""
    return post("/v1/embeddings", {"model": EMBEDDER, "input": text})


def reranking(seed: str, words: list[str]) -> bytes:
    """A request to rank documents of 64 tokens."""
    drawn = random.Random(seed)
    documents = [_text(drawn, _OF_A_DOCUMENT, words) for _ in range(DOCUMENTS)]
    query = _text(drawn, _OF_A_QUERY, words)
    return post("/v1/rerank", {"model": RERANKER, "query": query, "documents": documents})


def encoding(seed: str) -> bytes:
    """A request for the vector of one picture."""
    content = base64.b64encode(picture(seed, _SIZE)).decode()
    return post("/v1/vision/encode", {"model": IMAGES, "images": [content]})
