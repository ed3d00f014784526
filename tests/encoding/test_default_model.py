"""The model that encodes where a request names none."""

from __future__ import annotations

from pathlib import Path

import pytest

from app.provider.card import EncoderFacts, Kind, ModelCard, Task
from app.provider.pool.default_model import default_encoder


def card(name: str, *tasks: Task, engine: str = "onnx", problem: str | None = None) -> ModelCard:
    return ModelCard(
        name, engine, engine, Path(name), 1, 1, tasks=tasks, encoder=EncoderFacts(), problem=problem
    )


CHAT = ModelCard("a-chat-model", "gguf", "gguf", Path("a"), 1, 1)
ECHO = card("echo-embed", "embedding", engine="echo")
OTHER_FORMAT = card("starter-embed-gguf", "embedding")
STARTER = card("starter-embed", "embedding")
CLIP_STARTER = card("starter-clip", "multimodal", "vision")
E5 = card("e5", "embedding")
BROKEN = card("bge", "embedding", problem="damaged")
RERANKER = card("reranker", "rerank")
DINO = card("dino", "vision")
CLIP = card("clip", "multimodal", "vision")


@pytest.mark.parametrize(
    ("kind", "cards", "wanted"),
    [
        ("embedding", [CHAT], None),
        ("embedding", [CHAT, ECHO], "echo-embed"),
        ("embedding", [ECHO, OTHER_FORMAT, STARTER], "starter-embed"),
        ("embedding", [ECHO, STARTER, BROKEN, CLIP], "starter-embed"),
        ("embedding", [ECHO, STARTER, E5], "e5"),
        ("rerank", [STARTER, E5], "e5"),
        ("rerank", [E5, RERANKER], "reranker"),
        ("vision", [CLIP_STARTER, CHAT], "starter-clip"),
        ("vision", [CLIP_STARTER, CLIP], "clip"),
        ("vision", [CLIP, DINO], "dino"),
        ("multimodal", [DINO, CLIP_STARTER], "starter-clip"),
        ("multimodal", [DINO], None),
    ],
)
def test_a_model_of_ones_own_comes_before_the_starter(
    kind: Kind, cards: list[ModelCard], wanted: str | None
) -> None:
    assert default_encoder(kind, cards) == wanted
