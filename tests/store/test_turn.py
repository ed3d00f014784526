"""The endings of a turn. Whatever happens, the answer gets exactly one last word."""

from __future__ import annotations

import asyncio
import signal
from typing import Any

import pytest

from app.conversations.errors import ConversationNotFound, TurnFailed
from app.conversations.services import ConversationServices
from app.conversations.store import conversations, endings
from app.conversations.store.rows import ConversationRow
from app.conversations.turn_end import TurnEnd
from app.provider.card import ModelCard
from app.provider.errors import EngineUnavailable
from app.provider.pool.pool import ModelPool
from app.provider.types import End
from app.storage.tables import Message
from tests.http.chatting import LONG
from tests.store import audit
from tests.store.asking import OWNER, asked, read, until_text
from tests.store.databases import execute
from tests.suspending import send_signal


def only_answer(url: str) -> Message:
    """Of a database with one turn: question stored, nothing else besides."""
    question, answer = audit.messages(url)
    assert (question.role, question.status, answer.role) == ("user", "complete", "assistant")
    assert answer.parent_id == question.id
    return answer


async def signal_engine(services: ConversationServices, what: signal.Signals) -> None:
    pid = services.pool.health()["echo"].pid
    assert pid
    send_signal(pid, what)


async def until_submitted(services: ConversationServices) -> None:
    """Until the engine has been given something: a turn is stored a little before."""
    async with asyncio.timeout(60):
        while not (status := services.pool.health()["echo"]).active + status.waiting:
            await asyncio.sleep(0.01)


async def until_stored(url: str, status: str) -> None:
    async with asyncio.timeout(60):
        while not audit.answers(url, status):
            await asyncio.sleep(0.01)


# ---------------------------------------------------------------- the seven endings


async def test_complete_is_stored_before_the_end_is_told(
    services: ConversationServices, store_url: str
) -> None:
    turn = await asked(services, "one two three")
    async for event in turn.events():
        if isinstance(event, End):
            row = only_answer(store_url)
    assert isinstance(event, TurnEnd)
    assert (row.status, row.content, row.finish_reason) == ("complete", "one two three", "stop")
    assert row.usage == {"prompt_tokens": 3, "completion_tokens": 3, "cached_tokens": 0}
    assert row.context == {"prompt_tokens": 3, "limit": 10**7, "dropped": [], "summarised": []}
    audit.require_sound(store_url)


async def test_fails_first(services: ConversationServices, store_url: str) -> None:
    await read((await asked(services, "to load the engine")).events())
    await signal_engine(services, signal.SIGSTOP)
    reading = asyncio.create_task(read((await asked(services, "never said")).events()))
    await until_submitted(services)
    await signal_engine(services, signal.SIGKILL)
    with pytest.raises(TurnFailed) as caught:
        await reading
    assert isinstance(caught.value.cause, EngineUnavailable)
    (answer,) = audit.answers(store_url, "failed")
    assert (answer.content, answer.id) == ("", caught.value.message_id)
    assert "signal 9" in str(answer.error)
    audit.require_sound(store_url)


async def test_fails_later(services: ConversationServices, store_url: str) -> None:
    turn = await asked(services, LONG)
    events = turn.events()
    await until_text(events)
    await signal_engine(services, signal.SIGKILL)
    with pytest.raises(TurnFailed):
        await read(events)
    answer = only_answer(store_url)
    assert (answer.status, answer.content) == ("failed", turn.text)
    assert LONG.startswith(answer.content)
    assert answer.content
    audit.require_sound(store_url)


async def test_empty(services: ConversationServices, store_url: str) -> None:
    turn = await asked(services, "stop here", stop=["stop"])
    *_, last = await read(turn.events())
    assert isinstance(last, TurnEnd)
    answer = only_answer(store_url)
    assert (answer.status, answer.content, answer.finish_reason) == ("complete", "", "stop")
    audit.require_sound(store_url)


async def test_cancelled(services: ConversationServices, store_url: str) -> None:
    turn = await asked(services, LONG)
    events = turn.events()
    await until_text(events)
    reading = asyncio.create_task(read(events))
    await asyncio.sleep(0.05)
    reading.cancel()
    await asyncio.gather(reading, return_exceptions=True)
    answer = only_answer(store_url)
    assert (answer.status, answer.content) == ("stopped", turn.text)
    audit.require_sound(store_url)


async def test_closed_early(services: ConversationServices, store_url: str) -> None:
    turn = await asked(services, LONG)
    events = turn.events()
    await until_text(events)
    await events.aclose()
    answer = only_answer(store_url)
    assert (answer.status, answer.content) == ("stopped", turn.text)
    assert services.heartbeat.answers == []
    audit.require_sound(store_url)


async def test_never_read(services: ConversationServices, store_url: str) -> None:
    events = (await asked(services, "never asked")).events()
    await events.aclose()
    assert audit.messages(store_url) == []
    assert audit.conversations(store_url) == []


# ---------------------------------------------------------------- other ways to end


@pytest.mark.usefixtures("fast_beat")
async def test_another_server_stops_it(services: ConversationServices, store_url: str) -> None:
    turn = await asked(services, LONG)
    events = turn.events()
    await until_text(events)
    execute(store_url, "UPDATE messages SET stopping = true WHERE status = 'generating'")
    *_, last = await read(events)
    assert isinstance(last, TurnEnd)
    answer = only_answer(store_url)
    assert (answer.status, answer.finish_reason, last.reason) == ("stopped",) + ("cancelled",) * 2
    assert (answer.content, answer.stopping) == (turn.text, False)
    assert len(answer.content) < len(LONG)
    audit.require_sound(store_url)


@pytest.mark.usefixtures("fast_beat")
async def test_what_has_been_said_so_far_is_stored_meanwhile(
    services: ConversationServices, store_url: str
) -> None:
    events = (await asked(services, LONG)).events()
    await until_text(events)
    async with asyncio.timeout(60):
        while not only_answer(store_url).content:
            await asyncio.sleep(0.02)
    assert only_answer(store_url).status == "generating"
    await events.aclose()


@pytest.mark.usefixtures("fast_beat")
async def test_deleted_while_it_runs(services: ConversationServices, store_url: str) -> None:
    turn = await asked(services, LONG)
    events = turn.events()
    await until_text(events)
    await services.database.write(conversations.remove, OWNER, turn.target.conversation_id)
    with pytest.raises(TurnFailed) as caught:
        await read(events)
    assert isinstance(caught.value.cause, ConversationNotFound)
    audit.finish_work(store_url)
    assert audit.messages(store_url) == []
    audit.require_sound(store_url)


async def test_deleted_just_before_its_end(services: ConversationServices, store_url: str) -> None:
    turn = await asked(services, "one two")
    events = turn.events()
    await until_text(events)
    await services.database.write(conversations.remove, OWNER, turn.target.conversation_id)
    with pytest.raises(TurnFailed) as caught:
        await read(events)
    assert isinstance(caught.value.cause, ConversationNotFound)
    audit.require_sound(store_url)


async def test_given_up_by_another_server_and_still_completed(
    services: ConversationServices, store_url: str
) -> None:
    """A maker that was away for longer than its lease has the better ending."""
    turn = await asked(services, "one two three")
    events = turn.events()
    await until_text(events)
    await services.database.write(endings.fail_abandoned, all_running=True)
    assert only_answer(store_url).status == "failed"
    await read(events)
    answer = only_answer(store_url)
    assert (answer.status, answer.content, answer.error) == ("complete", "one two three", None)
    audit.require_sound(store_url)


async def test_a_turn_finds_its_model_once_and_reads_its_conversation_once(
    services: ConversationServices, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Beside the row that its first and its last transaction lock."""
    first = await asked(services, "one two three")
    await read(first.events())
    found: list[object] = []
    rows: list[bool] = []

    async def find(pool: ModelPool, model: str | None) -> ModelCard:
        found.append(model)
        return await real_find(pool, model)

    def read_row(*args: Any, lock: bool = False) -> ConversationRow:
        rows.append(lock)
        return real_read_row(*args, lock=lock)

    real_find, real_read_row = ModelPool.find, conversations.read_row
    monkeypatch.setattr(ModelPool, "find", find)
    monkeypatch.setattr(conversations, "read_row", read_row)
    here = first.target.conversation_id
    await read((await asked(services, "four", conversation_id=here)).events())
    assert found == [None]
    assert rows == [False, True]
