"""The start: what the first healthy answer needs. The rest follows in ``AfterStart``."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import replace
from typing import TypedDict

from app.config import Settings, conflicts
from app.lifespan.after_start import AfterStart
from app.lifespan.core import Core
from app.lifespan.engine_runtime import shared_runtime
from app.provider.pool.pool import ModelPool
from app.storage import migrate
from app.storage.database import Database
from app.web import log_setup, request_log
from app.web.bounds import BOUND_BY_SERVER
from app.web.error_rendering import ErrorRenderers
from app.web.upload_budget import UploadBudget

log = logging.getLogger(__name__)


class State(TypedDict):
    """What every request may use; its state is a copy with more in it."""

    settings: Settings
    pool: ModelPool
    database: Database
    uploads: UploadBudget
    traffic: request_log.Traffic
    errors: ErrorRenderers
    after_start: AfterStart


@asynccontextmanager
async def lifespan(core: Core) -> AsyncIterator[State]:
    """Start the services, hand them to the requests, and close them in reverse order."""
    _log_start(core)
    async with AsyncExitStack() as stack:
        yield _start(core, stack)


def _log_start(core: Core) -> None:
    log_setup.configure(core.settings.log_level)
    for sentence in conflicts(core.settings):
        log.warning("%s", sentence)
    if not core.bounded:
        log.warning(
            "started without ./run.sh serve, so nothing keeps %s: put a proxy in front that "
            "bounds headers, slow clients and connections",
            ", ".join(BOUND_BY_SERVER),
        )
    if not core.templates.all():
        log.warning("there are no prompt templates in %s", core.settings.prompts_dir)


def _start(core: Core, stack: AsyncExitStack) -> State:
    settings = core.settings
    if not core.prepared:
        migrate.prepare(settings.database_url)
    database = Database(settings.database_url)
    stack.callback(database.close)
    shared = shared_runtime(settings)
    config = replace(settings.pool(), untouched=database.files())
    pool = ModelPool(config, shared.host if shared else None)
    stack.push_async_callback(pool.close)
    if shared:
        shared.start()
    after_start = AfterStart(core, database, pool, shared)
    stack.push_async_callback(after_start.close)
    return {
        "settings": settings,
        "pool": pool,
        "database": database,
        "uploads": UploadBudget(settings.read_at_once()),
        "traffic": core.traffic,
        "errors": core.errors,
        "after_start": after_start,
    }
