"""Which prompt a model gets for what a text is for."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from app.encoding.errors import UnknownPrompt
from app.encoding.prompts import prompt_of
from app.provider.card import EncoderFacts, ModelCard

PROMPTS = (("query", "query: "), ("passage", "passage: "), ("Clustering", "cluster: "))
E5 = ModelCard(
    "e5",
    "onnx",
    "onnx",
    Path("e5"),
    1,
    512,
    tasks=("embedding",),
    encoder=EncoderFacts(384, "mean", PROMPTS),
)
PLAIN = replace(E5, id="plain", encoder=EncoderFacts(384))


@pytest.mark.parametrize(
    ("purpose", "prompt"),
    [
        ("query", "query: "),
        ("search_query", "query: "),
        ("retrieval.query", "query: "),
        ("document", "passage: "),
        ("search_document", "passage: "),
        ("retrieval.passage", "passage: "),
        ("clustering", "cluster: "),
        ("CLUSTERING", "cluster: "),
        ("separation", "cluster: "),
        ("classification", ""),
        ("image", ""),
        (None, ""),
    ],
)
def test_a_word_of_any_api_finds_the_prompt(purpose: str | None, prompt: str) -> None:
    assert prompt_of(E5, purpose) == prompt


def test_the_default_prompt_is_for_requests_that_say_nothing() -> None:
    used = replace(E5, encoder=EncoderFacts(384, "mean", PROMPTS, "passage"))
    assert prompt_of(used, None) == "passage: "
    assert prompt_of(used, "query") == "query: "
    assert prompt_of(used, "none") == ""


def test_models_without_prompts_take_the_usual_words() -> None:
    assert prompt_of(PLAIN, "search_query") == prompt_of(PLAIN, "text-matching") == ""


def test_a_name_that_no_prompt_has_is_refused_with_those_there_are() -> None:
    with pytest.raises(UnknownPrompt, match="query, passage, Clustering"):
        prompt_of(E5, "code")
    with pytest.raises(UnknownPrompt, match="it has: none"):
        prompt_of(PLAIN, "code")
