"""How uvicorn runs the application: within bounds that only the server can keep."""

from __future__ import annotations

from typing import Any

import uvicorn

from app.web.bounds import ConnectionBounds
from app.web.protocol import protocol

FINISH_SECONDS = 10
"""How long answers in progress may go on after Ctrl-C."""


def uvicorn_config(app: Any, bounds: ConnectionBounds, **options: Any) -> uvicorn.Config:
    """The configuration of a server that keeps ``bounds``."""
    return uvicorn.Config(
        app,
        http=protocol(bounds),  # type: ignore[arg-type]
        ws="none",
        lifespan="on",
        log_level="warning",
        access_log=False,
        server_header=False,
        **({"timeout_graceful_shutdown": FINISH_SECONDS} | options),
    )
