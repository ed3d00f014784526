"""Files that declare other servers: what they mean, and what is wrong with damaged ones."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from app.provider.card import ModelCard
from app.provider.catalogue.scan import scan
from app.provider.engine import EngineLimits, format_of

BOX: dict[str, Any] = {"base_url": "http://box:8000/v1/"}


def cards(folder: Path, declared: dict[str, Any] | str, name: str = "box") -> list[ModelCard]:
    text = declared if isinstance(declared, str) else json.dumps(declared)
    (folder / f"{name}.upstream.json").write_text(text)
    return scan(folder)


def test_an_address_alone_is_one_model_of_the_files_name(tmp_path: Path) -> None:
    (card,) = cards(tmp_path, BOX)
    assert (card.id, card.format, card.engine, card.tasks) == (
        "box",
        "upstream",
        "upstream",
        ("chat",),
    )
    assert card.problem is None
    assert card.remote
    assert (card.remote.base_url, card.remote.model) == ("http://box:8000/v1", "")
    assert format_of("upstream").need(card, EngineLimits()).total == 0


def test_names_are_ours_and_theirs(tmp_path: Path) -> None:
    models = {"a": "x/A", "b": {"model": "x/B", "tasks": ["chat", "vision"], "context_length": 9}}
    found = cards(tmp_path, BOX | {"models": models, "context_length": 4, "kind": "vllm"})
    assert [(card.id, card.context_length, bool(card.vision)) for card in found] == [
        ("a", 4, False),
        ("b", 9, True),
    ]
    assert [card.remote.model for card in found if card.remote] == ["x/A", "x/B"]


def test_further_names_are_those_of_each_model(tmp_path: Path) -> None:
    (tmp_path / "box.upstream.json").write_text(json.dumps(BOX | {"models": ["a", "b"]}))
    found = scan(tmp_path, aliases={"gpt": "b"})
    assert [(card.id, card.aliases) for card in found] == [("a", ()), ("b", ("gpt",))]


def test_a_change_of_the_file_is_another_state_of_its_models(tmp_path: Path) -> None:
    (before,) = cards(tmp_path, BOX)
    (after,) = cards(tmp_path, {"base_url": "http://other:8000/v1"})
    assert before.ref != after.ref


def test_only_files_at_the_top_declare_anything(tmp_path: Path) -> None:
    (tmp_path / "pulled").mkdir()
    assert cards(tmp_path / "pulled", BOX)
    assert scan(tmp_path) == []
    (tmp_path / "folder.upstream.json").mkdir()
    assert scan(tmp_path) == []


@pytest.mark.parametrize(
    ("declared", "words"),
    [
        ("", "declares no server"),
        ("{", "declares no server"),
        ("[]", "declares no server"),
        ("[" * 100_000, "declares no server"),
        ("\ud83d", "declares no server"),
        ({}, "base_url must be like"),
        ({"base_url": 7}, "base_url"),
        ({"base_url": "ftp://box"}, "base_url must be like"),
        ({"base_url": "http://me:secret@box/v1"}, "name the key in key_env"),
        ({"base_url": "http://box:port/v1"}, "declares no server"),
        (BOX | {"key": "secret"}, "key"),
        (BOX | {"key_env": "sk-1234"}, "not the key itself"),
        (BOX | {"key_env": "HF_TOKEN"}, "a secret of this server"),
        (BOX | {"key_env": "MY_BOX"}, "must end in _KEY"),
        (BOX | {"kind": "tgi"}, "kind"),
        (BOX | {"tasks": ["sing"]}, "tasks"),
        (BOX | {"features": {"topk": True}}, "no feature 'topk'"),
        (BOX | {"features": {"regex": True}}, "is a text"),
        (BOX | {"models": {}}, "declares no model"),
        (BOX | {"models": {"": "x"}}, "declares no server"),
        (BOX | {"timeouts": {"connect": 0}}, "connect"),
        (BOX | {"models": {"e": {"tasks": ["embedding"], "default_prompt": "q"}}}, "prompts"),
    ],
)
def test_a_damaged_declaration_costs_itself_and_says_why(
    tmp_path: Path, declared: Any, words: str
) -> None:
    if isinstance(declared, str):
        (tmp_path / "box.upstream.json").write_bytes(declared.encode("utf-8", "surrogatepass"))
    else:
        cards(tmp_path, declared)
    (tmp_path / "fine.upstream.json").write_text(json.dumps(BOX))
    broken, fine = scan(tmp_path)
    assert words in str(broken.problem)
    assert "secret@" not in str(broken.problem)
    assert fine.problem is None
