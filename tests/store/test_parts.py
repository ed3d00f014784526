"""Parts of messages as JSON values."""

from __future__ import annotations

import json

import pytest

from app.conversations.store import parts
from app.provider.types import ImagePart, Message, Role, TextPart, ThinkingPart, ToolCallPart
from tests.store.tools import ANSWER, CALLS, DEVELOPER, PICTURE, QUESTION, RESULTS, TURN

TWO_TEXTS = Message("assistant", (TextPart("a"), ThinkingPart("b"), TextPart("c")))
IMAGE_ONLY = Message("user", (PICTURE,))


@pytest.mark.parametrize("message", [*TURN, TWO_TEXTS, IMAGE_ONLY, Message("assistant", ())])
def test_parts_survive_json(message: Message) -> None:
    values = json.loads(json.dumps(parts.to_values(message.parts)))
    read = parts.from_values(values, message.text)
    assert parts.with_images(read, iter(message.images)) == message.parts


@pytest.mark.parametrize(
    "ordinary", [QUESTION, DEVELOPER, Message("user", (PICTURE, PICTURE, TextPart("two")))]
)
def test_ordinary_messages_have_no_extra_parts(ordinary: Message) -> None:
    assert parts.extra_parts(ordinary) == ()


@pytest.mark.parametrize("special", [CALLS, RESULTS, ANSWER, TWO_TEXTS, IMAGE_ONLY])
def test_all_others_do(special: Message) -> None:
    assert parts.extra_parts(special) == special.parts


def test_the_only_text_is_not_stored_twice() -> None:
    assert parts.to_values(ANSWER.parts) == [
        {"type": "thinking", "text": "It rains."},
        {"type": "text"},
    ]


def test_images_without_content_are_left_out() -> None:
    read = parts.from_values(parts.to_values(RESULTS.parts), "")
    kept = parts.with_images(read, iter([None]))
    assert not any(isinstance(part, ImagePart) for part in kept)
    assert Message("tool", kept).images == ()


@pytest.mark.parametrize(
    ("role", "listed"), [("user", True), ("assistant", True), ("developer", False), ("tool", False)]
)
def test_questions_and_texts_of_answers_are_listed(role: Role, listed: bool) -> None:
    assert parts.is_listed(role, (TextPart("x"),)) is listed
    assert not parts.is_listed(role, (TextPart("x"), ToolCallPart("1", "f", "{}")))


def test_nul_becomes_the_replacement_character_everywhere() -> None:
    stained = Message("assistant", (ThinkingPart("a\0"), ToolCallPart("\0", "f\0", "{\0}")))
    clean = Message("assistant", (ThinkingPart("a�"), ToolCallPart("�", "f�", "{�}")))
    assert parts.without_nul(stained) == clean
    assert parts.without_nul(RESULTS) == RESULTS


def test_an_unknown_part_is_named() -> None:
    with pytest.raises(ValueError, match="'smell'"):
        parts.from_values([{"type": "smell"}], "")


def test_a_transcript_has_everything_but_thinking() -> None:
    assert parts.transcript(CALLS.parts) == 'Lookingup.\nweather({"city": "서울"})\nwebcam({})'
    assert parts.transcript(RESULTS.parts) == "Showers at noon.\nA cloud:"
