"""Where the models are loaded: in this process's own care, or in that of a model server."""

from __future__ import annotations

from typing import TYPE_CHECKING

from app.config import Settings

if TYPE_CHECKING:
    from app.model_server.shared_runtime import SharedRuntime


def is_shared(settings: Settings) -> bool:
    """Whether several API processes share the models of a model server."""
    return settings.engine_runtime == "shared"


def shared_runtime(settings: Settings) -> SharedRuntime | None:
    """The connection to the model server, not begun; None where this process has the models."""
    if not is_shared(settings):
        return None
    from app.model_server.config import config_of  # noqa: PLC0415 — most servers have none
    from app.model_server.shared_runtime import SharedRuntime  # noqa: PLC0415

    return SharedRuntime(config_of(settings))
