"""Files that declare presets: what they mean, and what is wrong with damaged ones."""

from __future__ import annotations

import json
import math
import os
from pathlib import Path
from typing import Any

import pytest

from app.provider.card import ModelCard
from app.provider.catalogue.description import description
from app.provider.catalogue.presets import LONGEST_FILE, preset_cards
from app.provider.engines.echo.format import ALL
from app.provider.pool.pool import ModelPool, PoolConfig
from app.provider.pool.prompt_defaults import with_defaults
from app.provider.types import Message, Prompt, RawText, Sampling

USER = Message.of("user", "hi")


def cards(folder: Path, declared: dict[str, Any] | str | bytes) -> list[ModelCard]:
    text = json.dumps(declared) if isinstance(declared, dict) else declared
    content = text.encode() if isinstance(text, str) else text
    (folder / "mine.preset.json").write_bytes(content)
    return preset_cards(folder, ALL)


def test_a_preset_is_its_model_under_another_name(tmp_path: Path) -> None:
    echo = next(card for card in ALL if card.id == "echo")
    (card,) = cards(tmp_path, {"model": "ECHO", "system": "Be kind."})
    assert (card.id, card.name, card.aliases, card.problem) == ("mine", "mine", (), None)
    assert card.ref == echo.ref
    assert card.path == echo.path
    assert card.declared_in == tmp_path / "mine.preset.json"
    assert card.without_preset().id == "echo"


def test_other_files_are_none(tmp_path: Path) -> None:
    for name in (".preset.json", ".mine.preset.json", "mine.json", "mine.preset.json.part"):
        (tmp_path / name).write_text('{"model": "echo"}')
    assert preset_cards(tmp_path, ALL) == []
    assert preset_cards(tmp_path / "missing", ALL) == []


@pytest.mark.parametrize(
    ("declared", "problem"),
    [
        ("", "no preset"),
        ("[]", "no preset"),
        ("[" * 100_000, "no preset"),
        (b'{"model": "\xff"}', "no preset"),
        ('{"model": "\\ud800"}', "no preset"),
        (" " * LONGEST_FILE + "{}", "256 KiB"),
        ({}, "`model`"),
        ({"model": ""}, "$.model"),
        ({"model": 7}, "$.model"),
        ({"model": "echo", "context_length": 3}, "$.context_length"),
        ({"model": "echo", "context_length": 5000}, "5000 tokens, but its model 'echo' has 4096"),
        ({"model": "echo", "ttl_seconds": -2}, "$.ttl_seconds"),
        ({"model": "echo", "ttl_seconds": 0.5}, "$.ttl_seconds"),
        ({"model": "echo", "system": "Hi", "template": "default"}, "one or the other"),
        ({"model": "echo", "template": "default", "variables": {"a": []}}, "$.variables"),
        ({"model": "echo", "variables": {"a": 1}}, "no template"),
        ({"model": "echo", "keep_alive": 5}, "keep_alive"),
        ({"model": "echo", "sampling": {"temperature": 3}}, "$.sampling.temperature"),
        ({"model": "echo", "sampling": {"top_p": 0}}, "$.sampling.top_p"),
        ({"model": "echo", "sampling": {"max_tokens": 0}}, "$.sampling.max_tokens"),
        ({"model": "echo", "sampling": {"stop": "END"}}, "$.sampling.stop"),
        ({"model": "echo", "sampling": {"stop": [""]}}, "$.sampling.stop"),
        ({"model": "echo", "sampling": {"heat": 1}}, "heat"),
        ({"model": "other"}, "'other' is not here"),
        ({"model": "mine"}, "is a preset itself"),
        ({"model": "echo-embed"}, "does not chat"),
    ],
)
def test_what_is_wrong_is_a_problem_of_the_card(
    tmp_path: Path, declared: dict[str, Any] | str | bytes, problem: str
) -> None:
    (card,) = cards(tmp_path, declared)
    assert card.id == "mine"
    assert card.problem
    assert problem in card.problem
    assert card.preset is None
    assert description(card)["Format"] == "preset"


def test_its_context_is_a_part_of_that_of_its_model(tmp_path: Path) -> None:
    (card,) = cards(tmp_path, {"model": "echo", "context_length": 100})
    assert card.preset
    assert card.context_length == 100
    assert card.without_preset().context_length == 4096
    for asked in (Prompt((USER,)), Prompt((), raw=RawText("hi"))):
        assert card.preset.apply(asked).context_length == 100
        assert card.preset.apply(asked).context_of(4096) == 100
        assert card.preset.apply(asked).context_of(50) == 50
        assert asked.context_of(4096) == 4096


@pytest.mark.parametrize(
    ("declared", "seconds"), [(None, None), (-1, math.inf), (0, 0.0), (9, 9.0)]
)
def test_its_time_to_live_holds_for_prompts_of_its_model_too(
    tmp_path: Path, declared: int | None, seconds: float | None
) -> None:
    """Titles and summaries belong to the requests of the user."""
    (card,) = cards(tmp_path, {"model": "echo", "ttl_seconds": declared})
    for one in (card, card.without_preset()):
        assert with_defaults(Prompt((USER,)), one, {}).ttl_seconds == seconds
    echo = next(card for card in ALL if card.id == "echo")
    assert with_defaults(Prompt((USER,)), echo, {}).ttl_seconds is None


def test_what_is_no_file_blocks_nothing(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.preset.json")
    (tmp_path / "folder.preset.json").mkdir()
    (tmp_path / "link.preset.json").symlink_to(tmp_path / "nothing")
    found = preset_cards(tmp_path, ALL)
    assert [card.id for card in found] == ["folder", "link", "pipe"]
    for card in found:
        assert card.problem
        assert card.problem.startswith("It cannot be read")


def test_a_name_that_is_no_text_can_be_shown(tmp_path: Path) -> None:
    path = os.path.join(os.fsencode(tmp_path), b"\xff.preset.json")
    with open(path, "w") as file:
        file.write('{"model": "echo"}')
    (card,) = preset_cards(tmp_path, ALL)
    assert card.id == "?"


def test_no_preset_is_the_default_model(tmp_path: Path) -> None:
    (tmp_path / "aaa.preset.json").write_text('{"model": "echo", "system": "Be kind."}')
    pool = ModelPool(PoolConfig(models_dir=tmp_path, echo=True))
    assert pool.card(None).id == "echo"
    assert pool.card("aaa").preset


def test_a_setting_may_make_one_the_default_model(tmp_path: Path) -> None:
    (tmp_path / "aaa.preset.json").write_text('{"model": "echo", "system": "Be kind."}')
    pool = ModelPool(PoolConfig(models_dir=tmp_path, echo=True, default_names={"chat": "aaa"}))
    assert pool.card(None).id == "aaa"
    assert pool.is_healthy()


def test_it_fills_in_what_the_request_leaves_open(tmp_path: Path) -> None:
    sampling = {"temperature": 0.1, "top_k": 5, "max_tokens": 7, "stop": ["END"]}
    (card,) = cards(tmp_path, {"model": "echo", "system": "Be kind.", "sampling": sampling})
    assert card.preset
    asked = Prompt((USER,), Sampling(top_k=9, explicit=("temperature",)))
    found = card.preset.apply(asked)
    assert found.messages == (Message.of("system", "Be kind."), USER)
    assert (found.sampling.temperature, found.sampling.top_k) == (0.7, 9)
    assert (found.sampling.max_tokens, found.sampling.stop) == (7, ("END",))
    raw = card.preset.apply(Prompt((), raw=RawText("hi")))
    assert (raw.messages, raw.sampling.max_tokens) == ((), 7)


@pytest.mark.parametrize("role", ["developer", "system"])
def test_instructions_of_the_request_take_the_place_of_its_system_text(
    tmp_path: Path, role: Any
) -> None:
    (card,) = cards(tmp_path, {"model": "echo", "system": "Be kind."})
    assert card.preset
    asked = Prompt((Message.of(role, "Be short."), USER))
    assert card.preset.apply(asked) == asked
