"""The start: what the first healthy answer needs. The rest follows in ``AfterStart``."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, TypedDict

from app.config import Settings, conflicts
from app.lifespan.after_start import AfterStart
from app.lifespan.core import Core
from app.lifespan.engine_runtime import shared_runtime, worker_group
from app.provider.pool.pool import ModelPool
from app.storage import migrate
from app.storage.database import Database
from app.web import log_setup, request_log
from app.web.bounds import BOUND_BY_SERVER
from app.web.error_rendering import ErrorRenderers
from app.web.upload_budget import UploadBudget

if TYPE_CHECKING:
    from app.model_server.shared_runtime import SharedRuntime
    from app.monitoring.group_figures import GroupFigures

log = logging.getLogger(__name__)


class State(TypedDict):
    """What every request may use; its state is a copy with more in it.

    ``group`` has the figures of all processes; None where this one serves alone.
    """

    settings: Settings
    pool: ModelPool
    database: Database
    uploads: UploadBudget
    traffic: request_log.Traffic
    group: GroupFigures | None
    errors: ErrorRenderers
    after_start: AfterStart


@asynccontextmanager
async def lifespan(core: Core) -> AsyncIterator[State]:
    """Start the services, hand them to the requests, and close them in reverse order.

    Raises InvalidSetting where processes that another server has started may not serve together.
    """
    if core.finds_workers:
        core = replace(core, workers=worker_group(core.settings))
    _log_start(core)
    async with AsyncExitStack() as stack:
        yield _start(core, stack)


def _log_start(core: Core) -> None:
    log_setup.configure(core.settings.log_level)
    if not core.workers.leads:
        return
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
    database = Database(settings.database_url, core.workers.size)
    stack.callback(database.close)
    shared = shared_runtime(settings, core.workers)
    config = replace(settings.pool(), untouched=database.files())
    pool = ModelPool(config, shared.host if shared else None)
    stack.push_async_callback(pool.close)
    group = _start_shared(shared, core, stack) if shared else None
    after_start = AfterStart(core, database, pool, shared)
    stack.push_async_callback(after_start.close)
    return {
        "settings": settings,
        "pool": pool,
        "database": database,
        "uploads": UploadBudget(settings.read_at_once(core.workers.size)),
        "traffic": core.traffic,
        "group": group,
        "errors": core.errors,
        "after_start": after_start,
    }


def _start_shared(shared: SharedRuntime, core: Core, stack: AsyncExitStack) -> GroupFigures:
    """Connect to the model server, and report figures to it."""
    from app.monitoring.group_figures import GroupFigures  # noqa: PLC0415 — most servers are alone

    shared.start()
    group = GroupFigures(shared.exchange, core.traffic)
    group.start()
    stack.push_async_callback(group.close)
    return group
