"""Chat templates mean here what they mean in transformers, which they are written for."""

from __future__ import annotations

import datetime
from pathlib import Path
from typing import Any

import pytest

from app.provider.generation import jinja_dialect
from app.provider.generation.jinja_limits import TemplateFailed
from app.provider.generation.jinja_sandbox import SandboxedTemplate
from tests.provider.chat_templates import FAMILIES, Family, Peculiarity, with_peculiarity

pytest.importorskip("transformers", reason="pytorch: transformers is not installed")
from transformers.utils import chat_template_utils

FILES = Path(__file__).parent / "jinja_dialect"
TOOL = {
    "type": "function",
    "function": {
        "name": "get_weather",
        "description": "Weather <of> a city & more",
        "parameters": {
            "type": "object",
            "properties": {
                "city": {"type": "string", "description": "도시"},
                "unit": {
                    "type": "string",
                    "enum": ["c", "f"],
                    "default": "c",
                    "description": "of degrees",
                },
                "days": {"type": "array", "items": {"type": "integer"}, "description": "which"},
            },
            "required": ["city"],
        },
    },
}
CALL = {
    "id": "abcdefghi",
    "type": "function",
    "function": {"name": "get_weather", "arguments": {"city": "서울", "days": [1, None, True]}},
}
DOCUMENTS = [{"title": "T", "text": "body", "doc_id": 1}, {"title": "U", "text": "본문"}]
THOUGHT = "<think>\nhm\n</think>\n\n"
VALUES: dict[str, Any] = {
    "s": '  Hello <b> World-wide\n안녕 "q" {x} 100% ',
    "e": "",
    "n": -7,
    "f": 2.675,
    "l": [3, "b", None, 1.5, True, "B", "a"],
    "i": [3, 1, 2, 3],
    "w": ["b", "A", "c", "a"],
    "d": {"b": 1, "A": [1, 2], "c": {"x": "y"}, "안": "🙂"},
    "rows": [{"r": "u", "k": 2, "o": {"z": 1}}, {"r": "a", "k": 1, "o": {"z": 2}}, {"r": "u"}],
    "t": (1, "x"),
    "no": None,
    "yes": True,
    "nested": [[1, [2]], {"a": [{}]}],
    "u8": "ß ŉ İ",
}


def turns(*texts: str, system: str = "", **last: Any) -> list[dict[str, Any]]:
    """A conversation whose turns alternate."""
    first = [{"role": "system", "content": system}] if system else []
    roles = ("user", "assistant")
    messages = [{"role": roles[i % 2], "content": text} for i, text in enumerate(texts)]
    return [*first, *messages[:-1], messages[-1] | last]


def parts(*texts: str) -> list[dict[str, str]]:
    return [{"type": "text", "text": text} for text in texts]


CONVERSATIONS: dict[str, dict[str, Any]] = {
    "one question": {"messages": turns("Hi there")},
    "system": {"messages": turns("안녕하세요 🙂", system="Be brief.")},
    "three turns": {
        "messages": turns(" a {{x}} ", "fine", "if (a) { b(); } {% raw %}", system="s")
    },
    "thoughts": {"messages": turns("q", f"{THOUGHT}fine", "r", "<think>so</think>yes", "s")},
    "reasoning": {"messages": turns("q", "a", reasoning_content="so", thinking="so")},
    "no thinking": {"messages": turns("q", system="s /no_think"), "enable_thinking": False},
    "training": {"messages": turns("q", "a"), "add_generation_prompt": False},
    "parts": {"messages": [{"role": "user", "content": [*parts("a", "b"), {"type": "image"}]}]},
    "system in parts": {
        "messages": [
            {"role": "system", "content": parts("s")},
            {"role": "user", "content": parts("q")},
        ]
    },
    "one role twice": {"messages": [*turns("q"), *turns("r")]},
    "unknown role": {"messages": [{"role": "critic", "content": "no"}, *turns("q")]},
    "nothing": {"messages": []},
    "tools": {"messages": turns("q", system="s"), "tools": [TOOL, TOOL]},
    "tool calls": {
        "messages": [
            *turns("q", "", tool_calls=[CALL]),
            {"role": "tool", "name": "get_weather", "content": '{"t": 21}'},
            *turns("thanks"),
        ],
        "tools": [TOOL],
    },
    "documents": {"messages": turns("q"), "documents": DOCUMENTS, "controls": {"citations": 1}},
}


@pytest.fixture(autouse=True)
def one_day(monkeypatch: pytest.MonkeyPatch) -> None:
    """Midnight may pass between two renderings."""

    class Day(datetime.datetime):
        @classmethod
        def now(cls, tz: datetime.tzinfo | None = None) -> Day:
            return cls(2026, 11, 8, 1, 2, 3, tzinfo=tz)

    monkeypatch.setattr(jinja_dialect, "datetime", Day)
    monkeypatch.setattr(chat_template_utils, "datetime", Day)


def ours(source: str, **variables: Any) -> str | None:
    """What this server makes of a template; None when it refuses."""
    try:
        return SandboxedTemplate(source).render(**variables)
    except TemplateFailed:
        return None


def theirs(source: str, **variables: Any) -> str | None:
    """The same of transformers."""
    chats = [variables.pop("messages")]
    try:
        texts, _ = chat_template_utils.render_jinja_template(
            chats, chat_template=source, **variables
        )
    except Exception:  # whatever a template raises
        return None
    return str(texts[0])


def given(family: Family, conversation: dict[str, Any]) -> dict[str, Any]:
    return {
        "add_generation_prompt": True,
        "tools": None,
        "documents": None,
        **conversation,
        "bos_token": family.bos,
        "eos_token": family.eos,
        "unk_token": family.unk,
        "pad_token": family.pad,
    }


def shown(family: Family, name: str) -> str | None:
    return ours(family.source, **given(family, CONVERSATIONS[name]))


@pytest.mark.parametrize("family", FAMILIES, ids=lambda family: family.name)
def test_a_family_reads_as_in_transformers(family: Family) -> None:
    for name, conversation in CONVERSATIONS.items():
        variables = given(family, conversation)
        assert ours(family.source, **variables) == theirs(family.source, **variables), name
    assert shown(family, "one question")


def test_each_family_has_what_it_is_known_for() -> None:
    refused: dict[Peculiarity, str] = {
        "refuses system": "system",
        "alternation": "one role twice",
    }
    for peculiarity, name in refused.items():
        for family in with_peculiarity(peculiarity):
            assert shown(family, name) is None, family.name
    expected: dict[Peculiarity, tuple[str, str]] = {
        "date": ("one question", "2026"),
        "tools branch": ("tools", "get_weather"),
        "documents branch": ("documents", "본문"),
        "default system": ("one question", "You are"),
        "walks over parts": ("parts", "a"),
    }
    for peculiarity, (name, text) in expected.items():
        for family in with_peculiarity(peculiarity):
            assert text in (shown(family, name) or ""), (family.name, peculiarity)
    for family in with_peculiarity("strips old thinking"):
        assert "hm" not in (shown(family, "thoughts") or ""), family.name
    for family in with_peculiarity("needs parts"):
        assert "Hi there" not in (shown(family, "one question") or ""), family.name


def _expressions() -> list[str]:
    lines = (FILES / "expressions.txt").read_text(encoding="utf-8").splitlines()
    return ["{{ " + line + " }}" for line in lines]


def _statements() -> list[str]:
    return (FILES / "statements.txt").read_text(encoding="utf-8").split("@@")


@pytest.mark.parametrize("sources", [_expressions(), _statements()], ids=["expressions", "blocks"])
def test_the_language_is_that_of_transformers(sources: list[str]) -> None:
    assert len(sources) > 50
    variables = {**VALUES, "messages": []}
    for source in sources:
        assert ours(source, **variables) == theirs(source, **variables), source


def test_what_a_template_is_not_given_is_undefined() -> None:
    source = (
        "{{ date_string is defined }} {{ tools is defined }} {{ tools }} {{ unk_token }}"
        "{% if not documents %}!{% endif %}{{ strftime_now is defined }}"
    )
    assert ours(source, tools=None) == "False True None !True"
