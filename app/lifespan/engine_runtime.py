"""Whether this process is one of several that serve one address, and who owns the models then."""

from __future__ import annotations

import multiprocessing
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from uvicorn import Config

from app.config import InvalidSetting, Settings
from app.config.runtime import require_one_owner

if TYPE_CHECKING:
    from app.model_server.shared_runtime import SharedRuntime


@dataclass(frozen=True, slots=True)
class WorkerGroup:
    """The processes that serve one address, of which this is one.

    Each keeps its share of what is bounded for the machine. ``shared``: a model server owns the
    models; that of another ``instance`` is another one. ``leads``: this process logs what is the
    same for all.
    """

    size: int = 1
    shared: bool = False
    instance: str = ""
    leads: bool = True


def worker_group(settings: Settings) -> WorkerGroup:
    """The group of this process, unless ``serve`` has started it; raises InvalidSetting.

    A process that ``uvicorn --workers`` has started knows how many there are; for those of another
    server the setting WORKERS says it.
    """
    found = _uvicorn_workers()
    size = found or settings.workers
    try:
        require_one_owner(settings.engine_runtime, size)
    except ValueError as error:
        raise InvalidSetting(f"ENGINE_RUNTIME=local: {error}.") from None
    parent = multiprocessing.parent_process()
    shared = size > 1 or (parent is not None and found is None)
    if settings.engine_runtime is not None:
        shared = settings.engine_runtime == "shared"
    return WorkerGroup(size, shared, str(parent.pid) if parent else "")


def shared_runtime(settings: Settings, workers: WorkerGroup) -> SharedRuntime | None:
    """The connection to the model server, not begun; None where this process has the models."""
    return connection(settings, workers.instance) if workers.shared else None


def connection(settings: Settings, instance: str, *, owner: bool = False) -> SharedRuntime:
    """A connection to the model server of an instance, which ends with its last ``owner``."""
    from app.model_server.config import config_of  # noqa: PLC0415 — most servers have none
    from app.model_server.shared_runtime import SharedRuntime  # noqa: PLC0415

    return SharedRuntime(replace(config_of(settings), instance=instance), owner=owner)


def _uvicorn_workers() -> int | None:
    """How many processes uvicorn runs, of which this is one; None if it has not started this one.

    uvicorn tells the application nothing, but the process object holds what it was made with.
    """
    arguments = getattr(multiprocessing.current_process(), "_kwargs", {})
    config = arguments.get("config") if multiprocessing.parent_process() else None
    if not isinstance(config, Config):
        return None
    return 1 if config.should_reload else config.workers
