"""Thinking is told from the answer, wherever its markers come from and however they arrive."""

from __future__ import annotations

import random
from collections.abc import Iterator
from pathlib import Path

import pytest

from app.provider.generation.output_stream import OutputStream
from app.provider.generation.prepared_prompt import prepare_prompt
from app.provider.generation.thinking import NO_THINKING, TextPiece, ThinkingFilter, ThinkingStart
from app.provider.types import Delta, End, Event
from tests.provider.asking import prompt
from tests.provider.gguf_driver import Driver
from tests.provider.scripted import CHATML, CONTROL, make

OPENED = ThinkingStart(closing="</think>")
CONTROLS = ThinkingStart(control=frozenset({"[THINK]", "[/THINK]"}))
SILENT = ThinkingStart(lone=False)
CALLS = ThinkingStart("[/THINK]", CONTROLS.control, call="[TOOL_CALLS]")

CASES = [
    (NO_THINKING, "plain answer", "plain answer", "", False),
    (NO_THINKING, "<think>\nhm\n</think>\n\nyes", "yes", "\nhm\n", False),
    (NO_THINKING, "\n <think></think>yes <b>bold</b>", "yes <b>bold</b>", "", False),
    (NO_THINKING, "[THINK]hm[/THINK]yes", "yes", "hm", False),
    (NO_THINKING, "<think>never ends", "", "never ends", True),
    (NO_THINKING, "<think>never </thi", "", "never </thi", True),
    (NO_THINKING, "<think>a </thin k> b</think>c", "c", "a </thin k> b", False),
    (NO_THINKING, "<thinner", "<thinner", "", False),
    (NO_THINKING, " <thi", " <thi", "", False),
    (NO_THINKING, "say <think> aloud", "say <think> aloud", "", False),
    (NO_THINKING, "plan</think>\n\nyes", "yes", "plan", False),
    (NO_THINKING, "</think>yes", "yes", "", False),
    (NO_THINKING, "<think>a</think>b</think>c", "b</think>c", "a", False),
    (NO_THINKING, "<think>a</think>\n<think>b</think>\nc", "c", "ab", False),
    (OPENED, "plan\n</think>\n\nyes", "yes", "plan\n", False),
    (OPENED, "no end", "", "no end", True),
    (CONTROLS, "yes[THINK]hm[/THINK] no", "yes no", "hm", False),
    (CONTROLS, "a[/THINK]b[/THINK]c", "bc", "a", False),
    (NO_THINKING, "use <think> and </think> tags", "use <think> and </think> tags", "", False),
    (NO_THINKING, "a <think> b[/THINK]c", "c", "a <think> b", False),
    (CALLS, "hm[TOOL_CALLS]f{}", "[TOOL_CALLS]f{}", "hm", False),
    (CALLS, "hm[TOOL_[/THINK]f[TOOL_CALLS]g", "f[TOOL_CALLS]g", "hm[TOOL_", False),
    (SILENT, "the tag </think> ends it", "the tag </think> ends it", "", False),
    (NO_THINKING, "생각 <think> 😀", "생각 <think> 😀", "", False),
]
"""How it starts, what the model writes, the answer, the thinking, whether that goes on."""


def cut(raw: str) -> Iterator[list[str]]:
    """The text in pieces, in many ways."""
    dice = random.Random(raw)
    for _ in range(30):
        cuts = sorted(dice.choices(range(len(raw) + 1), k=dice.randrange(8)))
        yield [raw[a:b] for a, b in zip([0, *cuts], [*cuts, len(raw)], strict=True)]


def both(pieces: list[TextPiece]) -> tuple[str, str]:
    """The answer and the thinking."""
    answer = "".join(piece.text for piece in pieces if not piece.thinking)
    return answer, "".join(piece.text for piece in pieces if piece.thinking)


@pytest.mark.parametrize(("start", "raw", "answer", "thought", "inside"), CASES)
def test_however_it_is_cut(
    start: ThinkingStart, raw: str, answer: str, thought: str, inside: bool
) -> None:
    for pieces in cut(raw):
        for shown in (False, True):
            thinking = ThinkingFilter(start, shown=shown)
            released = [one for piece in pieces for one in thinking.push(piece)]
            text, seen = both([*released, *thinking.flush()])
            assert text[thinking.retracted :] == answer
            assert text[: thinking.retracted] + seen == thought if shown else not seen
            assert thinking.inside is inside


def test_an_ordinary_answer_is_not_held_back() -> None:
    thinking = ThinkingFilter(NO_THINKING)
    texts = [both(thinking.push(piece))[0] for piece in ("Yes", ", a < b", ".")]
    assert texts == ["Yes", ", a < b", "."]


def test_thinking_comes_as_it_is_thought_and_in_its_place() -> None:
    thinking = ThinkingFilter(CONTROLS, shown=True)
    pieces = [thinking.push(piece) for piece in ("a[THINK]b", "c<", "/think> [/TH", "INK] d")]
    assert pieces == [
        [TextPiece("a"), TextPiece("b", thinking=True)],
        [TextPiece("c<", thinking=True)],
        [TextPiece("/think> ", thinking=True)],
        [TextPiece(" d")],
    ]


MARKERS = ("<think>", "</think>")
THINKS = CHATML.replace("assistant\n{% endif", "assistant\n<think>\n{% endif")


def say(tmp_path: Path, kind: str, script: list[str], template: str = CHATML) -> Driver:
    words = {kind: (*MARKERS, *(CONTROL if kind == "control" else ()))}
    words.setdefault("control", CONTROL)
    file = make(tmp_path / f"{kind}.gguf", template, script, eos="<|im_end|>", **words)  # type: ignore[arg-type]
    return Driver.of(file, kv_cache_bytes=2**20, context_length=512)


@pytest.mark.parametrize("kind", ["control", "user", "normal"])
def test_markers_of_every_kind_are_seen(tmp_path: Path, kind: str) -> None:
    driver = say(tmp_path, kind, ["<think>", "h", "m", "</think>", "y", "e", "s", "<|im_end|>"])
    reply = driver.ask(prompt("hi"))
    assert (reply.text, reply.end.reason) == ("yes", "stop")
    assert reply.end.usage.completion_tokens == 7  # all but the end
    cut = driver.ask(prompt("hi", max_tokens=3))
    assert (cut.text, cut.end.reason) == ("", "length")


def test_thinking_that_the_template_opens(tmp_path: Path) -> None:
    driver = say(tmp_path, "user", ["h", "m", "</think>", "y", "e", "s", "<|im_end|>"], THINKS)
    assert driver.ask(prompt("hi")).text == "yes"


def test_a_question_that_ends_with_a_marker_opens_no_thinking(tmp_path: Path) -> None:
    driver = say(tmp_path, "normal", ["y", "e", "s", "<|im_end|>"])
    assert driver.ask(prompt("what is <think>")).text == "yes"


def test_an_answer_that_ends_within_its_thinking_was_cut(tmp_path: Path) -> None:
    driver = say(tmp_path, "control", ["<think>", "h", "m", "<|im_end|>"])
    reply = driver.ask(prompt("hi"))
    assert (reply.text, reply.end.reason) == ("", "length")


def test_what_was_said_before_a_lone_closing_marker_is_taken_back(tmp_path: Path) -> None:
    driver = say(tmp_path, "user", ["h", "m", "</think>", "y", "e", "s", "<|im_end|>"])
    reply = driver.ask(prompt("hi"))
    assert reply.text[reply.end.retracted :] == "yes"
    asked = driver.ask(prompt("what does </think> mean?"))  # then the answer may speak of it
    assert (asked.text, asked.end.retracted) == ("hm</think>yes", 0)


def test_no_stop_string_is_looked_for_in_thinking(tmp_path: Path) -> None:
    driver = say(tmp_path, "user", ["<think>", "h", "m", "</think>", "y", "e", "s", "<|im_end|>"])
    assert driver.ask(prompt("hi", stop=("m",))).text == "yes"
    assert driver.ask(prompt("hi", stop=("s",))).text == "ye"


STOPS = [
    ("\n\n\n", ("\n",), "", "stop"),  # white space is held until it is told from thinking
    ("a</thi", ("</",), "a", "stop"),
    ("hms</think>yes", ("sy", "e"), "y", "stop"),  # does not stand across the end of thinking
    ("hms</think>yes", ("es",), "y", "stop"),
    ("a <thi", ("<",), "a ", "stop"),
    ("<think>a b", ("b",), "", "length"),
]


@pytest.mark.parametrize(("raw", "stop", "answer", "reason"), STOPS)
@pytest.mark.parametrize("ends", [True, False])
def test_a_stop_string_is_found_whatever_is_held_back(
    raw: str, stop: tuple[str, ...], answer: str, reason: str, ends: bool
) -> None:
    for size in (1, 2, len(raw)):
        asked = prepare_prompt([1], prompt("hi", stop=stop), 512)
        pieces: list[bytes | None] = [
            raw[at : at + size].encode() for at in range(0, len(raw), size)
        ]
        output = OutputStream(asked, 512 if ends else len(pieces), 0)
        events: list[Event] = []
        for piece in [*pieces, None] if ends else pieces:
            events += output.push(piece)
            if isinstance(events[-1:] and events[-1], End):
                break
        end = events[-1]
        assert isinstance(end, End)
        text = "".join(event.text for event in events if isinstance(event, Delta))
        assert (text[end.retracted :], end.reason) == (answer, reason)
