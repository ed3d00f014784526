"""What a stored turn sends to the engine."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest

from app.conversations.errors import HistoryTooLong, TurnFailed
from app.conversations.services import ConversationServices
from app.provider.engine import EngineLimits
from app.provider.errors import ContextOverflow
from app.provider.pool.pool import ModelPool, PoolConfig
from app.provider.runtime.engine_process import EngineProcess
from app.provider.runtime.messages import Cancel, Count, Submit, ToEngine
from tests.selection import on_sqlite_daily
from tests.store.asking import asked, read

pytestmark = on_sqlite_daily

LIMIT = 40


@pytest.fixture
def sent(monkeypatch: pytest.MonkeyPatch) -> list[type]:
    """The types of the messages for jobs."""
    seen: list[type] = []

    def send(process: EngineProcess, message: ToEngine) -> None:
        if isinstance(message, (Submit, Count, Cancel)):
            seen.append(type(message))
        real_send(process, message)

    real_send = EngineProcess.send
    monkeypatch.setattr(EngineProcess, "send", send)
    return seen


@pytest.fixture
async def narrow(
    services: ConversationServices, empty_models: Path
) -> AsyncIterator[ConversationServices]:
    """Services whose model has a short context."""
    limits = EngineLimits(context_length=LIMIT, default_max_tokens=10)
    pool = ModelPool(PoolConfig(empty_models, echo=True, limits=limits))
    yield replace(services, pool=pool, answer_tokens=10)
    await pool.close()


async def conversation(services: ConversationServices, words: int) -> str:
    turn = await asked(services, "word " * words)
    await read(turn.events())
    return turn.target.conversation_id


async def test_an_ordinary_turn_is_submitted_once_and_never_measured(
    services: ConversationServices, sent: list[type]
) -> None:
    name = await conversation(services, 3)
    assert sent == [Submit]
    await read((await asked(services, "more", conversation_id=name)).events())
    assert sent == [Submit, Submit]


async def test_a_prompt_without_room_for_its_answer_is_measured_and_submitted_again(
    narrow: ConversationServices, sent: list[type]
) -> None:
    name = await conversation(narrow, 15)
    sent.clear()
    await read((await asked(narrow, "word " * 10, conversation_id=name)).events())
    assert sent == [Submit, Cancel, Count, Submit]


async def test_what_may_not_be_shortened_is_submitted_once(
    narrow: ConversationServices, sent: list[type]
) -> None:
    name = await conversation(narrow, 15)
    sent.clear()
    options = {"conversation_id": name, "overflow": "error"}
    await read((await asked(narrow, "word " * 10, **options)).events())
    assert sent == [Submit]
    with pytest.raises(TurnFailed) as caught:
        await read((await asked(narrow, "word " * 20, **options)).events())
    assert sent == [Submit] * 2 + [Cancel]
    assert isinstance(caught.value.cause, ContextOverflow)


async def test_too_many_messages_are_refused_before_the_engine_hears_of_them(
    services: ConversationServices, sent: list[type]
) -> None:
    name = await conversation(services, 3)
    sent.clear()
    few = replace(services, max_messages=1)
    with pytest.raises(TurnFailed) as caught:
        turn = await asked(few, "more", conversation_id=name, overflow="error")
        await read(turn.events())
    assert isinstance(caught.value.cause, HistoryTooLong)
    assert sent == []
