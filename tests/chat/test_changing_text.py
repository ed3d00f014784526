"""Text of agents that changes with every request is kept away from the beginning of the prompt."""

from __future__ import annotations

import pytest

from app.chat.changing_text import LONGEST_SEARCHED, stable_first
from app.provider.types import Message, TextPart

BILLING = "x-anthropic-billing-header: cc_version=2.1.37.3a3; cc_entrypoint=cli; cch=0aaa9;"
USER = Message.of("user", "hi")


def shown(*messages: Message) -> list[tuple[str, str]]:
    return [(message.role, message.text) for message in stable_first(messages)]


@pytest.mark.parametrize(
    ("system", "kept", "moved"),
    [
        (f"{BILLING}\nYou are kind.", "You are kind.", ""),
        (f"You are kind.\n{BILLING}", "You are kind.\n", ""),
        (
            "Be kind.\nCurrent date and time: Monday, 06:00:31 PM PDT\nAnd brief.",
            "Be kind.\nAnd brief.",
            "Current date and time: Monday, 06:00:31 PM PDT",
        ),
        (
            "Answer. The current date and time is Saturday, September 19, 2026 3:00 PM. Be kind.",
            "Answer. Be kind.",
            "The current date and time is Saturday, September 19, 2026 3:00 PM.",
        ),
        (
            "## Current Time\n2026-02-06 10:21 (Friday)\n\n# Rules",
            "\n# Rules",
            "## Current Time\n2026-02-06 10:21 (Friday)",
        ),
        (
            "Current time: 2026-02-06T12:33:00.123Z\nx",
            "x",
            "Current time: 2026-02-06T12:33:00.123Z",
        ),
    ],
)
def test_known_text_is_dropped_or_moved(system: str, kept: str, moved: str) -> None:
    question = f"hi\n\n{moved}" if moved else "hi"
    assert shown(Message.of("system", system), USER) == [("system", kept), ("user", question)]


@pytest.mark.parametrize(
    "system",
    [
        "Today is 2026-11-29.",
        "Current date: 2026-11-29",
        "The current time limits are generous. Lunch is at 12:30.",
        "Explain what the header x-anthropic-billing-header: does.",
        "Say the current time as 10:21.",
    ],
)
def test_other_text_stays(system: str) -> None:
    assert shown(Message.of("system", system), USER) == [("system", system), ("user", "hi")]


def test_a_message_of_which_nothing_is_left_goes_away() -> None:
    assert shown(Message.of("system", BILLING), USER) == [("user", "hi")]
    parts = (TextPart(f"{BILLING}\n"), TextPart("Be kind."))
    assert shown(Message("system", parts), USER) == [("system", "Be kind."), ("user", "hi")]


def test_only_the_system_text_at_the_beginning_is_searched() -> None:
    quoted, late = Message.of("user", BILLING), Message.of("developer", BILLING)
    messages = [quoted, Message.of("assistant", BILLING), late, quoted]
    assert shown(*messages) == [(message.role, message.text) for message in messages]


def test_moved_text_comes_last_also_after_the_result_of_a_tool() -> None:
    clock = "Current time: 10:21"
    found = shown(Message.of("system", clock), USER, Message.of("tool", "sunny"))
    assert found == [("user", "hi"), ("tool", "sunny"), ("user", clock)]


def test_texts_that_are_too_long_to_be_searched_stay() -> None:
    system = f"{BILLING}\n" + "x" * LONGEST_SEARCHED
    assert shown(Message.of("system", system), USER) == [("system", system), ("user", "hi")]
