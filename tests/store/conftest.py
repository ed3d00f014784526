from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from contextlib import closing
from pathlib import Path

import pytest

from app.conversations import heartbeat
from app.conversations.services import ConversationServices
from app.provider.engine import EngineLimits
from app.provider.pool.pool import ModelPool, PoolConfig
from app.storage.database import Database
from app.templates.library import TemplateLibrary
from tests.conftest import ECHO_WORDS_PER_SECOND
from tests.store import counting
from tests.store.databases import execute


@pytest.fixture
async def services(store_url: str, empty_models: Path) -> AsyncIterator[ConversationServices]:
    """A database and a pool with the echo engine, as a server has them."""
    database = Database(store_url)
    limits = EngineLimits(
        context_length=10**7,
        default_max_tokens=10**7,
        echo_words_per_second=ECHO_WORDS_PER_SECOND,
    )
    pool = ModelPool(PoolConfig(empty_models, echo=True, limits=limits))
    beat = heartbeat.Heartbeat(database)
    beat.start()
    yield ConversationServices(database, pool, TemplateLibrary(()), beat, 1000, 1024)
    await beat.close()
    await pool.close()
    database.close()


@pytest.fixture
def fast_beat(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(heartbeat, "HEARTBEAT_SECONDS", 0.05)


@pytest.fixture
def no_beat(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(heartbeat, "HEARTBEAT_SECONDS", 3600)


@pytest.fixture
def counted(store_url: str) -> Iterator[Database]:
    """A database with the counter of ``tests/store/counting.py`` at 0."""
    execute(store_url, counting.MAKE)
    with closing(Database(store_url)) as opened:
        yield opened
