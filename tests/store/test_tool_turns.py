"""Turns with thinking, tool calls and tool results in the database."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from dataclasses import replace
from typing import Any, TypeVar

import pytest
from sqlalchemy.orm import Session

from app.chat.request import TurnRequest
from app.conversations import titles
from app.conversations.context_window import build_prompt
from app.conversations.services import ConversationServices
from app.conversations.start import ask, ask_again, resolve
from app.conversations.store import conversations, messages, removal, tree
from app.conversations.store.tree import HistoryMessage, Position
from app.conversations.store.truncation import WindowStart
from app.conversations.token_count import count_tokens
from app.conversations.turn import Turn
from app.conversations.turn_end import TurnEnd
from app.provider.pool.pool import ModelPool
from app.provider.types import Message, Prompt, TextPart, ThinkingPart
from app.storage.database import Database
from tests.store import audit
from tests.store.asking import OWNER, asked, read
from tests.store.tools import (
    ANSWER,
    CALLS,
    DEVELOPER,
    QUESTION,
    TEXT_TURN,
    TURN,
    append,
    new_conversation,
)

pytestmark = pytest.mark.sql_is_alike

T = TypeVar("T")
Write = Callable[..., Any]


@pytest.fixture
def write(store_url: str) -> Iterator[Write]:
    """Runs a function in a transaction; the conversation ``c1`` is there."""
    with closing(Database(store_url)) as database:

        def run(work: Callable[..., T], *args: Any) -> T:
            return database.transact(lambda session: work(session, *args), writes=True)

        run(new_conversation, OWNER)
        yield run


def names(read: Sequence[HistoryMessage]) -> list[str]:
    return [message.id for message in read]


def prompt_of(history: Sequence[HistoryMessage], target: Any) -> tuple[Message, ...]:
    return build_prompt(target, history, WindowStart()).messages


def history(session: Session, leaf: str, most: int = 8) -> list[HistoryMessage]:
    return tree.with_images(session, "c1", tree.history(session, "c1", leaf), most)


async def test_a_turn_with_tools_is_read_as_it_was_stored(
    services: ConversationServices, write: Write, store_url: str
) -> None:
    added = write(append, OWNER, "c1", None, TURN)
    target = (await asked(services, "x")).target
    stored = write(history, added.rows[-1].id)
    assert prompt_of(stored, target) == TURN
    assert names(stored) == [row.id for row in added.rows]
    assert [row.content for row in added.listed] == ["Umbrella today?", "Take an umbrella."]
    question, answer = added.listed
    assert [row.parent_id for row in added.rows] == [None, *[question.id] * 3]
    assert audit.conversations(store_url)[0].active_leaf_id == answer.id
    assert {row["type"] for row in audit.table(store_url, "message_extras")[0]["parts"]}
    audit.require_sound(store_url)


async def test_images_of_tool_results_beyond_the_limit_are_left_out(
    services: ConversationServices, write: Write
) -> None:
    leaf = write(append, OWNER, "c1", None, TURN).rows[-1].id
    target = (await asked(services, "x")).target
    shown = prompt_of(write(history, leaf, 0), target)
    assert [message.images for message in shown] == [()] * 4
    assert [len(message.parts) for message in shown] == [1, 4, 2, 2]


def test_nul_is_replaced_as_in_answers(write: Write) -> None:
    stained = Message("assistant", (ThinkingPart("a\0b"), TextPart("c\0")))
    leaf = write(append, OWNER, "c1", None, [QUESTION, stained]).rows[-1].id
    last = write(history, leaf)[-1]
    assert (last.text, last.parts) == ("c\ufffd", (ThinkingPart("a\ufffdb"), TextPart("c\ufffd")))


def test_an_empty_answer_takes_its_tool_calls_with_it(write: Write) -> None:
    empty = Message.of("assistant", "")
    first = write(append, OWNER, "c1", None, [DEVELOPER, *TEXT_TURN])
    last = write(append, OWNER, "c1", first.rows[-1].id, [*TEXT_TURN[:-1], empty])
    assert names(write(history, last.rows[-1].id)) == [row.id for row in first.rows]


def test_messages_behind_any_message_have_the_nearest_listed_parent(write: Write) -> None:
    waiting = write(append, OWNER, "c1", None, TEXT_TURN[:2])
    question, calls = waiting.rows
    assert waiting.position == Position(question.id, calls.id)
    done = write(append, OWNER, "c1", calls.id, TEXT_TURN[2:])
    assert [row.parent_id for row in done.rows] == [question.id] * 2
    assert names(write(history, done.rows[-1].id)) == [
        row.id for row in (*waiting.rows, *done.rows)
    ]


@pytest.fixture
def prompts(monkeypatch: pytest.MonkeyPatch) -> list[Prompt]:
    """The prompts that are answered or measured."""
    seen: list[Prompt] = []

    def noting(real: Callable[..., Any]) -> Callable[..., Any]:
        def asked(pool: ModelPool, model: Any, prompt: Prompt) -> Any:
            seen.append(prompt)
            return real(pool, model, prompt)

        return asked

    for name in ("stream", "measure"):
        monkeypatch.setattr(ModelPool, name, noting(getattr(ModelPool, name)))
    return seen


async def ended(turn: Turn) -> TurnEnd:
    *_, last = await read(turn.events())
    assert isinstance(last, TurnEnd)
    return last


async def test_the_next_question_is_read_with_all_that_was_before(
    services: ConversationServices, write: Write, prompts: list[Prompt], store_url: str
) -> None:
    stored = [*TEXT_TURN, DEVELOPER]
    last = write(append, OWNER, "c1", None, stored).listed[-1]
    turn = await asked(services, "And tomorrow?", conversation_id="c1")
    await ended(turn)
    assert prompts[-1].messages == (*stored, Message.of("user", "And tomorrow?"))
    question = {row.id: row for row in audit.messages(store_url)}[turn.target.question_id]
    assert question.parent_id == last.id
    await ended(await ask_again(services, OWNER, "c1", question.id, TurnRequest(message="")))
    assert prompts[-1].messages == (*stored, Message.of("user", "And tomorrow?"))
    beside = await asked(services, "And now?", conversation_id="c1", parent_id=last.id)
    await ended(beside)
    assert prompts[-1].messages == (*stored, Message.of("user", "And now?"))
    audit.require_indexed(store_url)


async def test_a_first_question_follows_the_developer_messages_at_the_root(
    services: ConversationServices, write: Write, prompts: list[Prompt], store_url: str
) -> None:
    write(append, OWNER, "c1", None, [DEVELOPER])
    assert audit.conversations(store_url)[0].active_leaf_id is None
    turn = await asked(services, "Rain?", conversation_id="c1")
    await ended(turn)
    assert prompts[-1].messages == (DEVELOPER, Message.of("user", "Rain?"))
    audit.require_sound(store_url)


HISTORY = TurnRequest(message="And tomorrow?", history=(DEVELOPER, *TEXT_TURN))


async def test_a_conversation_begins_with_a_history_of_any_messages(
    services: ConversationServices, prompts: list[Prompt], store_url: str
) -> None:
    await ended(await ask(services, OWNER, HISTORY))
    assert prompts[-1].messages == (*HISTORY.history, Message.of("user", HISTORY.message))
    (found,) = audit.conversations(store_url)
    assert found.title == "Umbrella today?"
    listed = [row.content for row in audit.branch(store_url, found.id)]
    assert listed == ["Umbrella today?", "Take an umbrella.", *["And tomorrow?"] * 2]
    audit.require_sound(store_url)


async def test_the_tokens_of_such_a_history_are_counted(
    services: ConversationServices, prompts: list[Prompt]
) -> None:
    await count_tokens(services, OWNER, await resolve(services, OWNER, HISTORY))
    assert prompts[-1].messages == (*HISTORY.history, Message.of("user", HISTORY.message))


async def test_a_summary_is_made_of_tool_results_too(
    services: ConversationServices, write: Write, prompts: list[Prompt]
) -> None:
    write(append, OWNER, "c1", None, TEXT_TURN)
    few = replace(services, max_messages=3)
    turn = await asked(few, "And tomorrow?", conversation_id="c1", overflow="summarise")
    await ended(turn)
    asked_for = [prompt.messages[-1].text for prompt in prompts if len(prompt.messages) == 2]
    assert "tool: Showers at noon." in asked_for[0]


async def test_what_is_left_out_of_a_prompt_is_told_of_listed_messages(
    services: ConversationServices, write: Write, prompts: list[Prompt], store_url: str
) -> None:
    first = write(append, OWNER, "c1", None, TEXT_TURN)
    write(append, OWNER, "c1", first.rows[-1].id, [DEVELOPER])
    few = replace(services, max_messages=4)
    last = await ended(await asked(few, "And tomorrow?", conversation_id="c1"))
    assert last.context.dropped == tuple(row.id for row in first.listed)
    assert [message.role for message in prompts[-1].messages] == ["developer", "user"]
    audit.require_sound(store_url)


# ---------------------------------------------------------------- titles and removal


def test_a_title_is_found_from_the_question_and_the_text_of_its_answer(write: Write) -> None:
    write(append, OWNER, "c1", None, [DEVELOPER, *TURN])
    _, _, text = write(titles.first_messages, OWNER, "c1")
    assert text == "Umbrella today?\n\nTake an umbrella."


def test_a_new_title_is_found_with_listed_questions(write: Write, store_url: str) -> None:
    write(append, OWNER, "c1", None, [DEVELOPER, *TURN])
    write(conversations.change, OWNER, "c1", "Weather", None)
    audit.require_indexed(store_url)


def test_all_of_it_is_deleted_at_once(write: Write, store_url: str) -> None:
    write(append, OWNER, "c1", None, TURN)
    write(conversations.remove, OWNER, "c1")
    assert audit.conversations(store_url) == []
    require_empty(store_url)


def test_all_of_it_is_deleted_piece_by_piece(write: Write, store_url: str) -> None:
    long = Message("tool", (TURN[2].parts[0], TURN[2].parts[1]))
    many = [QUESTION, *[CALLS, long] * 60, ANSWER]
    write(append, OWNER, "c1", None, many)
    assert write(removal.is_large, "c1")
    write(conversations.remove, OWNER, "c1")
    audit.finish_work(store_url)
    require_empty(store_url)


def require_empty(url: str) -> None:
    for name in ("conversations", "messages", "message_extras", "images", "message_images"):
        assert audit.table(url, name) == []
    audit.require_sound(url)


def test_a_running_answer_is_deleted_with_what_it_has_beside_its_text(
    write: Write, store_url: str
) -> None:
    behind = write(append, OWNER, "c1", None, TURN[:3]).position

    def answer_and_hide(session: Session) -> None:
        found = conversations.find_owned(session, OWNER, "c1")
        messages.add_messages(session, found.id, behind, [ANSWER]).rows[0].status = "generating"
        removal.hide_for_removal(session, found)

    write(answer_and_hide)
    assert len(audit.messages(store_url)) == 3
    assert len(audit.table(store_url, "message_extras")) == 2


def test_large_tool_results_make_a_conversation_large(write: Write) -> None:
    write(append, OWNER, "c1", None, [QUESTION, CALLS])
    assert not write(removal.is_large, "c1")
    large = Message("assistant", (ThinkingPart("x" * 20_000), TextPart("y")))
    write(append, OWNER, "c1", None, [QUESTION, large])
    assert write(removal.is_large, "c1")
