"""Work that shows whether transactions lose anything: a counter in a conversation."""

from __future__ import annotations

import asyncio
import threading
from itertools import chain

from sqlalchemy.orm import Session

from app.storage.database import Database
from app.storage.tables import Conversation
from tests.store.databases import contents

MAKE = (
    "INSERT INTO conversations (id, owner, title, setup, created_at, updated_at)"
    " VALUES ('c', 'me', '', '{}', 0, 0)"
)


def stored(url: str) -> list[dict[str, object]]:
    """What another connection sees."""
    return contents(url)["conversations"]


def count(session: Session) -> int:
    """Read, then write what follows from it."""
    found = session.get_one(Conversation, "c", with_for_update=True)
    found.updated_at += 1
    return found.updated_at


async def count_on(database: Database, tasks: int) -> list[int]:
    async def turns() -> list[int]:
        return [await database.write(count) for _ in range(40)]

    return list(chain.from_iterable(await asyncio.gather(*(turns() for _ in range(tasks)))))


class Slow:
    """Work that says when it has begun and goes on when told to."""

    def __init__(self) -> None:
        self.begun = threading.Event()
        self.go_on = threading.Event()

    def count(self, session: Session) -> int:
        counted = count(session)
        self.wait(session)
        return counted

    def fail(self, session: Session) -> None:
        self.wait(session)
        raise ZeroDivisionError

    def wait(self, _: Session) -> None:
        self.begun.set()
        assert self.go_on.wait(60)
