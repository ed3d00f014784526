"""Every format through a real engine: a scripted model writes it, its parser reads it."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncGenerator
from pathlib import Path

import pytest
from msgspec import structs

from app.chat.answer import parse_answer
from app.provider.formats.call_syntax import OutputFormat
from app.provider.formats.output_formats import OUTPUT_FORMATS
from app.provider.generation.constraints import planner
from app.provider.types import Event, Message, Prompt, Sampling
from tests.chat.answers import ANSWERS, Answer
from tests.chat.parsing import CHANNEL_MARKS, TOOLS, Parsed, collected
from tests.provider.asking import Reply
from tests.provider.gguf_driver import Driver
from tests.provider.scripted import make
from tests.provider.scripted_answer import script_of

END = "<|endofturn|>"
TURNS = ("<|im_start|>", "<|im_end|>", END)
TEMPLATE = (
    "{% if tools %}<|im_start|>system\n{{ tools | tojson }}<|im_end|>\n{% endif %}"
    "{% for m in messages %}<|im_start|>{{ m.role }}\n{{ m.content }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
"""Shows tools; what a format is recognised by stands in a comment beside it."""


@pytest.fixture(autouse=True)
def free(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let models write what they like: a grammar spells calls in tokens that no script has."""
    monkeypatch.setattr(planner, "is_constrained", lambda prompt: False)


def first_answer(known: OutputFormat) -> Answer:
    """An answer with text, thinking and a call, as far as the format has them."""
    answers = [answer for answer in ANSWERS if answer.format == known.name]
    return max(answers, key=lambda one: (bool(one.calls), bool(one.thinking), bool(one.content)))


def _model(folder: Path, known: OutputFormat, answer: Answer) -> Path:
    """A model of the family that writes the answer to every question."""
    control = sorted(known.markers - set(TURNS))
    script = script_of(answer.text, [*control, *(known.markers & set(TURNS))])
    return make(
        folder / f"{known.name}.gguf",
        source_of(known),
        [*script.tokens, END],
        control=(*TURNS, *control),
        normal=script.normal,
        eos=END,
    )


def source_of(known: OutputFormat) -> str:
    """The template with what the format is recognised by."""
    recognised = " ".join(known.templates[0]) if known.templates else ""
    return TEMPLATE + f"{{# {recognised} #}}"


async def _parsed(events: list[Event], prompt: Prompt) -> list[Event]:
    async def stream() -> AsyncGenerator[Event, None]:
        for event in events:
            yield event

    return [event async for event in parse_answer(stream(), prompt)]


def parsed_of(events: list[Event], prompt: Prompt) -> Parsed:
    """What a client gets of the events of an engine."""
    return collected(asyncio.run(_parsed(events, prompt)))


def asked(*, tools: bool = True, thinking: bool = True) -> Prompt:
    return Prompt(
        (Message.of("user", "hi"),),
        Sampling(temperature=0, max_tokens=200),
        tools=TOOLS if tools else (),
        thinking=thinking,
        logprobs=0,
    )


def _ask(file: Path, prompt: Prompt) -> tuple[Parsed, Reply]:
    reply = Driver.of(file, kv_cache_bytes=2**20, context_length=2048).ask(prompt)
    return parsed_of(reply.events, prompt), reply


@pytest.mark.parametrize("known", OUTPUT_FORMATS, ids=lambda known: known.name)
def test_a_call_comes_through_the_engine(tmp_path: Path, known: OutputFormat) -> None:
    answer = first_answer(known)

    parsed, reply = _ask(_model(tmp_path, known, answer), asked())

    assert reply.started.output_format == ("hermes" if known.name == "plain" else known.name)
    assert [(name, json.loads(text)) for name, text in parsed.calls] == list(answer.calls)
    assert (parsed.content, parsed.thinking) == (answer.content, answer.thinking)
    assert parsed.end
    assert parsed.end.reason == "tool_calls"
    assert len(parsed.tokens) == parsed.end.usage.completion_tokens


@pytest.mark.parametrize("thinking", [True, False])
@pytest.mark.parametrize(
    "known", [one for one in OUTPUT_FORMATS if one.channels], ids=lambda known: known.name
)
def test_no_channel_shows_where_no_tools_are_offered(
    tmp_path: Path, known: OutputFormat, thinking: bool
) -> None:
    answer = first_answer(known)

    parsed, _ = _ask(_model(tmp_path, known, answer), asked(tools=False, thinking=thinking))

    assert parsed.thinking == (answer.thinking if thinking else "")
    assert not parsed.calls
    assert not any(mark in parsed.content for mark in CHANNEL_MARKS[known.name])
    assert answer.thinking.strip() not in parsed.content


def test_a_call_ends_thinking_that_is_not_closed(tmp_path: Path) -> None:
    script = script_of("[THINK]Look.[TOOL_CALLS]now[ARGS]{}", THINKING_CALLS)
    file = make(
        tmp_path / "thinks.gguf",
        TEMPLATE + "{# [TOOL_CALLS] [ARGS] #}",
        [*script.tokens, END],
        control=(*TURNS, *THINKING_CALLS, "[/THINK]"),
        normal=script.normal,
        eos=END,
    )

    parsed, _ = _ask(file, asked())

    assert (parsed.thinking, parsed.calls, parsed.content) == ("Look.", [("now", "{}")], "")


THINKING_CALLS = ("[THINK]", "[TOOL_CALLS]", "[ARGS]")


def test_a_setting_names_the_format(tmp_path: Path) -> None:
    answer = next(one for one in ANSWERS if one.format == "glm" and one.calls)
    script = script_of(answer.text)
    file = make(
        tmp_path / "unknown.gguf",
        TEMPLATE,
        [*script.tokens, END],
        control=TURNS,
        normal=script.normal,
        eos=END,
    )

    parsed, reply = _ask(file, structs.replace(asked(), output_format="glm"))
    other, _ = _ask(file, asked())

    assert reply.started.output_format == "glm"
    assert [(name, json.loads(text)) for name, text in parsed.calls] == list(answer.calls)
    assert (other.calls, other.content) == ([], answer.text)
