"""Conversations that outgrow the context: what is left out, told, kept and used again.

The echo engine takes a word for a token, so the numbers can be counted by hand.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.conftest import serving
from tests.http.chatting import CHAT, STREAM, chat, refused, shown_tokens, streamed
from tests.store import audit

LIMIT = 40
WIDE = 200
"""For summaries: the task itself takes some forty words."""


@pytest.fixture(scope="module")
def url(shared_database_url: str) -> str:
    return shared_database_url


@pytest.fixture(scope="module")
def narrow(url: str, empty_models: Path) -> Iterator[httpx.Client]:
    options: dict[str, Any] = {"context_length": LIMIT, "default_max_tokens": 10}
    with serving(models_dir=empty_models, database_url=url, **options) as client:
        yield client


@pytest.fixture(scope="module")
def wide(url: str, empty_models: Path) -> Iterator[httpx.Client]:
    options: dict[str, Any] = {"context_length": WIDE, "default_max_tokens": 20}
    with serving(models_dir=empty_models, database_url=url, **options) as client:
        yield client


@pytest.fixture(scope="module")
def short(url: str, empty_models: Path) -> Iterator[httpx.Client]:
    with serving(models_dir=empty_models, database_url=url, max_history_length=6) as client:
        yield client


def conversation(client: httpx.Client, turns: int, **options: Any) -> dict[str, str]:
    """One of so many exchanges of two words and two words; where to go on with it."""
    here = {"conversation_id": chat(client, "turn 0", **options)["conversation_id"]}
    for number in range(1, turns):
        answer = chat(client, f"turn {number}", **here)
        assert answer["context"]["dropped"] == answer["context"]["summarised"] == []
    return here


def ids(url: str, here: dict[str, str]) -> list[str]:
    """Of the active branch."""
    return [row.id for row in audit.branch(url, here["conversation_id"])]


def cuts(url: str, here: dict[str, str]) -> list[Any]:
    return [cut for cut in audit.cuts(url) if cut.conversation_id == here["conversation_id"]]


# ---------------------------------------------------------------- nothing may be left out


@pytest.mark.parametrize("route", [CHAT, STREAM])
def test_error_refuses_with_the_numbers(narrow: httpx.Client, url: str, route: str) -> None:
    here = conversation(narrow, 7)
    long = "word " * (LIMIT - 7 * 4 + 1)
    problem = refused(
        narrow, 400, "context-length-exceeded", route, message=long, overflow="error", **here
    )
    assert (problem["needed"], problem["limit"]) == (LIMIT + 1, LIMIT)
    kept = audit.messages(url, here["conversation_id"])[-1]
    assert (kept.id, kept.status) == (problem["message_id"], "failed")
    fits = chat(narrow, long.removesuffix("word "), overflow="error", **here)
    assert shown_tokens(fits) == LIMIT


@pytest.mark.parametrize("overflow", ["drop_oldest", "summarise", "error"])
def test_a_question_that_is_too_long_alone(narrow: httpx.Client, overflow: str) -> None:
    long = {"message": "word " * (LIMIT + 1), "overflow": overflow}
    problem = refused(narrow, 400, "context-length-exceeded", **long)
    assert (problem["needed"], problem["limit"]) == (LIMIT + 1, LIMIT)


def test_a_question_that_is_too_long_whatever_is_dropped(narrow: httpx.Client, url: str) -> None:
    here = conversation(narrow, 3)
    problem = refused(narrow, 400, "context-length-exceeded", message="word " * (LIMIT + 1), **here)
    assert (problem["needed"], problem["limit"]) == (LIMIT + 1, LIMIT)
    assert cuts(url, here) == [], "what did not help is not kept"
    assert shown_tokens(chat(narrow, "turn 3", **here)) == 14


# ---------------------------------------------------------------- the oldest are left out


def test_the_oldest_are_dropped_and_the_reply_says_which(narrow: httpx.Client, url: str) -> None:
    """Up to 30 tokens leave room for an answer; a cut goes down to half, which is 20."""
    here = conversation(narrow, 8)
    before = ids(url, here)
    answer = chat(narrow, "turn 8", **here)
    assert answer["context"]["dropped"] == before[:8], "the oldest first, whole exchanges"
    assert answer["context"]["summarised"] == []
    assert answer["context"]["prompt_tokens"] == shown_tokens(answer) == 4 * 4 + 2
    assert answer["context"]["limit"] == LIMIT
    kept = audit.messages(url, here["conversation_id"])[-1]
    assert kept.context == answer["context"]


def test_a_cut_stays_where_it_is_until_the_context_is_full_again(
    narrow: httpx.Client, url: str
) -> None:
    here = conversation(narrow, 8)
    seen = [chat(narrow, f"turn {number}", **here) for number in range(8, 13)]
    dropped = [len(answer["context"]["dropped"]) for answer in seen]
    assert dropped == [8, 8, 8, 8, 16]
    assert [shown_tokens(answer) for answer in seen] == [18, 22, 26, 30, 18]
    assert [(cut.kind, cut.summary) for cut in cuts(url, here)] == [("dropped", None)] * 2
    assert seen[-1]["context"]["dropped"] == ids(url, here)[:16]


def test_a_stream_tells_the_same(narrow: httpx.Client, url: str) -> None:
    here = conversation(narrow, 8)
    done = streamed(narrow, "turn 8", **here)[-1].data
    assert done["context"]["dropped"] == ids(url, here)[:8]


def test_the_system_text_stays(narrow: httpx.Client, url: str) -> None:
    here = conversation(narrow, 5, system="ten " * 10)
    answer = chat(narrow, "turn 5", **here)
    assert shown_tokens(answer) == 10 + 2 * 4 + 2
    assert answer["context"]["dropped"] == ids(url, here)[:6]


def test_a_branch_from_before_the_cut_begins_at_its_root(narrow: httpx.Client, url: str) -> None:
    here = conversation(narrow, 8)
    chat(narrow, "turn 8", **here)
    earlier = ids(url, here)[3]
    answer = chat(narrow, "another way", parent_id=earlier, **here)
    assert answer["context"]["dropped"] == []
    assert shown_tokens(answer) == 2 * 4 + 2


def test_what_failed_is_not_counted_as_dropped(narrow: httpx.Client, url: str) -> None:
    here = conversation(narrow, 1)
    refused(narrow, 400, "context-length-exceeded", message="word " * 50, **here)
    for number in range(1, 8):
        chat(narrow, f"turn {number}", **here)
    answer = chat(narrow, "turn 8", **here)
    assert answer["context"]["dropped"] == ids(url, here)[:8]


# ---------------------------------------------------------------- the oldest are summarised


def test_a_summary_stands_for_the_oldest(wide: httpx.Client, url: str) -> None:
    """Above 180 tokens the view is cut to 75, with 25 for the summary, which echo fills."""
    here = conversation(wide, 45)
    before = ids(url, here)
    answer = chat(wide, "turn 45", overflow="summarise", **here)
    assert answer["context"]["summarised"] == before[: 2 * 27]
    assert answer["context"]["dropped"] == []
    (cut,) = cuts(url, here)
    assert (cut.kind, cut.message_id) == ("summarised", before[2 * 27 - 1])
    assert "user: turn 0\nassistant: turn 0\n" in cut.summary
    assert len(cut.summary.split()) == 25
    heading = 6  # Summary of the conversation so far:
    assert shown_tokens(answer) == heading + 25 + 18 * 4 + 2


def test_a_summary_is_used_again(wide: httpx.Client, url: str) -> None:
    here = conversation(wide, 45)
    first = chat(wide, "turn 45", overflow="summarise", **here)
    second = chat(wide, "turn 46", overflow="summarise", **here)
    assert shown_tokens(second) == shown_tokens(first) + 4
    assert second["context"]["summarised"] == first["context"]["summarised"]
    assert len(cuts(url, here)) == 1


def test_a_summary_takes_up_the_one_before_it(wide: httpx.Client, url: str) -> None:
    here = conversation(wide, 45)
    chat(wide, "turn 45", overflow="summarise", **here)
    for number in range(46, 70):
        answer = chat(wide, f"turn {number}", overflow="summarise", **here)
    first, second = cuts(url, here)
    assert answer["context"]["summarised"] == ids(url, here)[: len(answer["context"]["summarised"])]
    assert answer["context"]["summarised"][-1] == second.message_id
    assert "user: turn 0\n" in second.summary, "only the first summary knew of it"
    assert first.summary != second.summary


def test_a_part_that_is_longer_than_the_context_is_summarised_piece_by_piece(
    wide: httpx.Client, url: str
) -> None:
    past = [
        {"role": "user", "content": "question " * 700},
        {"role": "assistant", "content": "answer " * 700},
    ]
    answer = chat(wide, "and now", history=past, overflow="summarise")
    (cut,) = cuts(url, answer)
    assert answer["context"]["summarised"] == ids(url, answer)[:2]
    assert 0 < len(cut.summary.split()) <= 25
    assert shown_tokens(answer) <= WIDE


# ---------------------------------------------------------------- too many messages


def test_error_refuses_more_messages_than_allowed(short: httpx.Client, url: str) -> None:
    here = conversation(short, 3)
    assert shown_tokens(chat(short, "turn 3", overflow="error", **here)) == 14
    problem = refused(short, 400, "history-too-long", overflow="error", **here)
    assert "8 messages" in problem["detail"]
    assert "6 at most" in problem["detail"]
    assert chat(short, "hi", overflow="drop_oldest", **here)["context"]["dropped"]


@pytest.mark.parametrize(
    ("overflow", "field"), [("drop_oldest", "dropped"), ("summarise", "summarised")]
)
def test_more_messages_than_allowed_are_left_out(
    short: httpx.Client, url: str, overflow: str, field: str
) -> None:
    """A cut goes down to three quarters, for it shall last for some turns."""
    here = conversation(short, 4)
    first = chat(short, "turn 4", overflow=overflow, **here)
    second = chat(short, "turn 5", overflow=overflow, **here)
    third = chat(short, "turn 6", overflow=overflow, **here)
    way = ids(url, here)
    assert [answer["context"][field] for answer in (first, second, third)] == [
        way[:4],
        way[:4],
        way[:8],
    ]


def test_at_the_end_everything_is_sound(short: httpx.Client, url: str) -> None:
    """The last test of the module: looks at what all of them have left."""
    audit.require_sound(url)
