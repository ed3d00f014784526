"""One heartbeat saves all running answers of a process."""

from __future__ import annotations

import asyncio
from contextlib import ExitStack

import pytest
from sqlalchemy import select, update
from sqlalchemy.orm import Session

from app.conversations import heartbeat
from app.conversations.heartbeat import RunningAnswer
from app.conversations.services import ConversationServices
from app.conversations.stop import stop
from app.conversations.store import conversations, progress, turns
from app.conversations.store.progress import AnswerProgress
from app.conversations.turn import Turn
from app.provider.types import End
from app.storage.ids import now
from app.storage.tables import Message
from tests.http.chatting import LONG
from tests.store import audit
from tests.store.asking import OWNER, asked, ids, read, until_text
from tests.store.databases import connected, execute

POSTGRESQL = pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)

Saved = list[dict[str, str | None]]


@pytest.fixture
def saved(monkeypatch: pytest.MonkeyPatch) -> Saved:
    """The texts of each transaction of heartbeats, by answer id."""
    seen: Saved = []

    def save(session: Session, answers: list[AnswerProgress]) -> dict[str, bool | None]:
        seen.append({each.answer_id: each.text for each in answers})
        return real_save(session, answers)

    real_save = progress.save_progress
    monkeypatch.setattr(progress, "save_progress", save)
    return seen


async def begun(services: ConversationServices, count: int) -> list[Turn]:
    """Turns with stored rows, which no engine answers."""
    made = [await asked(services, "one") for _ in range(count)]
    for turn in made:
        await services.database.write(turn.begin)
    return made


async def until_beaten(saved: Saved, times: int) -> None:
    async with asyncio.timeout(60):
        while len(saved) < times:
            await asyncio.sleep(0.01)


@pytest.mark.usefixtures("fast_beat")
async def test_one_transaction_renews_all_leases_and_stores_the_texts_that_changed(
    services: ConversationServices, store_url: str, saved: Saved
) -> None:
    made = await begun(services, 3)
    execute(store_url, "UPDATE messages SET lease_until = 1 WHERE status = 'generating'")
    texts = {turn.target.answer_id: f"answer {at}" for at, turn in enumerate(made)}
    first = made[0].target.answer_id
    with ExitStack() as stack:
        for turn in made:
            name = turn.target.answer_id
            text_of = lambda name=name: texts[name]  # noqa: E731
            stack.enter_context(services.heartbeat.running(RunningAnswer(*ids(turn), text_of)))
        await until_beaten(saved, 2)
        texts[first] = "more"
        await until_beaten(saved, len(saved) + 2)
    await services.heartbeat.close()
    unchanged = dict.fromkeys(texts)
    assert saved[:2] == [texts | {first: "answer 0"}, unchanged]
    assert [each for each in saved[2:] if each != unchanged] == [unchanged | {first: "more"}]
    rows = audit.answers(store_url)
    assert {row.id: row.content for row in rows} == texts
    assert all((row.lease_until or 0) > now() for row in rows)


@pytest.mark.usefixtures("fast_beat")
async def test_much_text_is_saved_in_several_transactions(
    services: ConversationServices, saved: Saved, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(heartbeat, "MAX_ANSWERS", 2)
    monkeypatch.setattr(heartbeat, "MAX_LETTERS", 10)
    made = await begun(services, 4)
    with ExitStack() as stack:
        for turn, content in zip(made, ("many letters", "a", "b", "c"), strict=True):
            text_of = lambda content=content: content  # noqa: E731
            stack.enter_context(services.heartbeat.running(RunningAnswer(*ids(turn), text_of)))
        await until_beaten(saved, 5)
    assert [len(piece) for piece in saved[:5]] == [1, 2, 1, 2, 2]


@pytest.mark.usefixtures("no_beat")
async def test_a_stop_in_the_same_process_waits_for_no_heartbeat(
    services: ConversationServices, store_url: str, saved: Saved
) -> None:
    turn = await asked(services, LONG)
    events = turn.events()
    await until_text(events)
    reading = asyncio.create_task(read(events))
    stopped = await stop(services, OWNER, turn.target.conversation_id)
    *_, last = await reading
    assert (stopped.message_id, stopped.status) == (turn.target.answer_id, "stopped")
    assert isinstance(last, End)
    assert last.reason == "cancelled"
    assert (saved, services.heartbeat.answers) == ([], [])
    audit.require_sound(store_url)


async def test_what_became_of_answers_is_reported_by_their_ids(
    services: ConversationServices, store_url: str
) -> None:
    made = await begun(services, 4)
    going, stopping, failed, deleted = (turn.target.answer_id for turn in made)
    await services.database.write(turns.request_stop, OWNER, made[1].target.conversation_id)
    await services.database.write(
        lambda session: session.execute(
            update(Message).where(Message.id == failed).values(status="failed")
        )
    )
    await services.database.write(conversations.remove, OWNER, made[3].target.conversation_id)
    rows = [AnswerProgress(*ids(turn), "text") for turn in made]
    report = await services.database.write(progress.save_progress, rows)
    assert report == {going: False, stopping: True, failed: False, deleted: None}
    assert {row.id: row.content for row in audit.answers(store_url)} == {
        going: "text",
        stopping: "text",
        failed: "",
    }


@POSTGRESQL
async def test_an_answer_that_another_transaction_has_locked_is_left_out(
    services: ConversationServices, store_url: str
) -> None:
    made = await begun(services, 2)
    locked, free = (turn.target.answer_id for turn in made)
    rows = [AnswerProgress(*ids(turn), "text") for turn in made]
    with connected(store_url) as connection:
        connection.execute(select(Message.seq).where(Message.id == locked).with_for_update())
        saving = asyncio.create_task(services.database.write(progress.save_progress, rows))
        await asyncio.wait([saving], timeout=60)
    assert await saving == {free: False}
    assert {row.content for row in audit.answers(store_url) if row.id == locked} == {""}
