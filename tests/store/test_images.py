"""Pictures that several conversations use, on servers that know nothing of each other."""

from __future__ import annotations

import random
import threading
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing
from functools import partial

import pytest
from sqlalchemy import event
from sqlalchemy.orm import Session

from app.conversations.store import conversations, images, tree
from app.conversations.store.images import Attachment, Original
from app.conversations.store.tree import HistoryMessage
from app.provider.types import ImageNotes, SeenImage
from app.storage.database import Database
from app.storage.errors import StorageUnavailable
from app.storage.ids import new_id, now
from app.storage.tables import Message
from tests.store import audit

POSTGRESQL = pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)


@pytest.fixture
def servers(store_url: str) -> Iterator[tuple[Database, Database]]:
    """Two servers on one database."""
    with closing(Database(store_url)) as one, closing(Database(store_url)) as other:
        yield one, other


def image(name: str, content: bytes = b"PNG") -> Attachment:
    original = Original("image/jpeg", 80, 60, 1000)
    return Attachment(name, 40, 30, len(content), original, ImageNotes(), content)


def ask(session: Session, conversation: str, *names: str) -> str:
    """A conversation with one question, which has these pictures."""
    made = conversations.create(session, "me", conversation, "a title", {})
    question = Message(
        id=new_id(),
        conversation_id=made.id,
        role="user",
        status="complete",
        content="hi",
        created_at=now(),
        stopping=False,
    )
    session.add(question)
    session.flush()
    images.attach_images(session, made.id, question.id, [image(name) for name in names])
    return question.id


def remove(session: Session, conversation: str) -> None:
    for row in session.query(Message).where(Message.conversation_id == conversation):
        row.status = "generating"  # so that the search index, which has not got it, is left alone
    session.flush()
    conversations.remove(session, "me", conversation)


def kept(url: str) -> list[str]:
    return sorted(row["sha256"] for row in audit.table(url, "images"))


class Held:
    """Runs ``work`` in a transaction of another thread, which stays open until told otherwise."""

    def __init__(self, database: Database, work: partial[None]) -> None:
        self._done, self._go_on = threading.Event(), threading.Event()
        self._pool = ThreadPoolExecutor(1)

        def held(session: Session) -> None:
            work(session)
            session.flush()
            self._done.set()
            assert self._go_on.wait(60)

        self._running: Future[None] = self._pool.submit(database.transact, held, writes=True)
        assert self._done.wait(60)

    def commit(self) -> None:
        self._go_on.set()
        self._running.result()
        self._pool.shutdown()


@POSTGRESQL
def test_one_begins_to_use_what_another_is_letting_go(
    servers: tuple[Database, Database], store_url: str
) -> None:
    one, other = servers
    one.transact(lambda session: ask(session, "old", "5e", "6e"), writes=True)
    going = Held(one, partial(remove, conversation="old"))
    with ThreadPoolExecutor(1) as pool:
        using = pool.submit(
            other.transact, lambda session: ask(session, "new", "6e", "5e"), writes=True
        )
        with pytest.raises(TimeoutError):
            using.result(timeout=0.3)  # it waits for the other
        going.commit()
        using.result(timeout=60)
    assert kept(store_url) == ["5e", "6e"]
    audit.require_used(store_url)


@POSTGRESQL
def test_one_lets_go_what_another_is_beginning_to_use(
    servers: tuple[Database, Database], store_url: str
) -> None:
    one, other = servers
    one.transact(lambda session: ask(session, "old", "5e", "6e"), writes=True)
    beginning = Held(other, partial(_asked, "new", "5e"))
    with ThreadPoolExecutor(1) as pool:
        going = pool.submit(one.transact, lambda session: remove(session, "old"), writes=True)
        with pytest.raises(TimeoutError):
            going.result(timeout=0.3)
        beginning.commit()
        going.result(timeout=60)
    assert kept(store_url) == ["5e"]
    audit.require_used(store_url)


def _asked(conversation: str, name: str, session: Session) -> None:
    ask(session, conversation, name)


def test_many_come_and_go_at_once(servers: tuple[Database, Database], store_url: str) -> None:
    """Whatever meets whatever: no picture is lost, none is left, and nobody waits in a circle."""
    names = [f"{number:02d}" for number in range(4)]

    def come_and_go(seed: int) -> None:
        chance, database = random.Random(seed), servers[seed % 2]
        for turn in range(12):
            here, mine = f"{seed}-{turn}", chance.sample(names, 3)
            database.transact(partial(_comes, here, mine), writes=True)
            found = database.transact(lambda session: images.list_uses(session, here), writes=False)  # noqa: B023
            assert [use.image.sha256 for use in found] == mine
            if turn % 3:
                database.transact(partial(_goes, here), writes=True)

    with ThreadPoolExecutor(6) as pool:
        list(pool.map(come_and_go, range(6)))
    audit.require_used(store_url)


def _comes(conversation: str, names: list[str], session: Session) -> None:
    ask(session, conversation, *names)


def _goes(conversation: str, session: Session) -> None:
    remove(session, conversation)


def test_a_transaction_that_fails_leaves_no_picture(
    servers: tuple[Database, Database], store_url: str
) -> None:
    one, _ = servers

    def fail(session: Session) -> None:
        ask(session, "new", "5e")
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        one.transact(fail, writes=True)
    assert kept(store_url) == []


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_a_full_disk_leaves_no_half_of_a_question(store_url: str) -> None:
    with closing(Database(store_url)) as full:
        event.listen(full.engine, "connect", lambda it, _: it.execute("PRAGMA max_page_count=80"))

        def fill(session: Session) -> None:
            question = ask(session, "new")
            images.attach_images(session, "new", question, [image("5e", bytes(10**6))])

        with pytest.raises(StorageUnavailable, match="full"):
            full.transact(fill, writes=True)
        full.transact(lambda session: ask(session, "small", "6e"), writes=True)
    assert kept(store_url) == ["6e"]
    assert [row.id for row in audit.conversations(store_url)] == ["small"]


def test_only_so_many_pictures_are_read(servers: tuple[Database, Database], store_url: str) -> None:
    one, _ = servers
    names = ["a1", "b2", "a1", "c3"]
    question = one.transact(lambda session: ask(session, "here", *names), writes=True)
    history = [HistoryMessage("other", "user", "before"), HistoryMessage(question, "user", "hi")]
    for most in range(6):
        messages = one.transact(
            lambda session: tree.with_images(session, "here", history, most),  # noqa: B023
            writes=False,
        )
        assert [one.sha256 for one in messages[1].images] == names
        content = [bool(one.content) for one in messages[1].images]
        assert content == [False] * max(0, 4 - most) + [True] * min(4, most)
        assert messages[0] == history[0]


def test_what_was_seen_is_replaced_not_added_to(
    servers: tuple[Database, Database], store_url: str
) -> None:
    one, _ = servers
    answer = one.transact(lambda session: ask(session, "here", "5e"), writes=True)
    first, second = SeenImage("5e", 56, 28, 2), SeenImage("5e", 28, 28, 1)
    for seen in ([first, first], [second]):
        one.transact(partial(_seen, answer, seen), writes=True)
    found = one.transact(lambda session: images.read_seen_images(session, "here"), writes=False)
    assert found == {answer: (second,)}


def _seen(answer: str, seen: list[SeenImage], session: Session) -> None:
    images.record_seen_images(session, "here", answer, seen)
