"""The application: ``create_app`` puts the parts together. Nothing is made at import."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from fastapi import FastAPI
from fastapi.routing import APIRoute
from starlette.middleware.cors import CORSMiddleware

from app import errors, health, logs, pages, versions
from app.config import Settings
from app.dependencies import State
from app.limits import BodyLimit
from app.provider.errors import ProviderError
from app.provider.pool import ModelPool
from app.security import Guard

log = logging.getLogger(__name__)


def create_app(settings: Settings | None = None) -> FastAPI:
    """Build the application from settings, by default those of the environment and ``.env``."""
    settings = settings or Settings()

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[State]:
        logs.configure(settings.log_level)
        pool = ModelPool(settings.pool())
        # The server is up before its model is: who asks meanwhile is told how far it is.
        preloading = asyncio.create_task(_preload(pool))
        yield {"settings": settings, "pool": pool}
        preloading.cancel()
        await pool.close()

    app = FastAPI(
        title="FastAPI SLLM API", openapi_url=None, redirect_slashes=False, lifespan=lifespan
    )
    _add_routes(app)
    _add_middleware(app, settings)
    for kind in errors.HANDLED:
        app.add_exception_handler(kind, errors.handle)
    return app


async def _preload(pool: ModelPool) -> None:
    try:
        card = await asyncio.to_thread(pool.card, None)
        await pool.preload(card.id)
    except ProviderError as error:
        log.warning("no model is loaded: %s", error)


def _add_routes(app: FastAPI) -> None:
    for name in reversed(versions.NAMES):  # the newest is asked for most
        versions.add(name, app.router)
    app.include_router(pages.router)
    app.include_router(health.router)


def _add_middleware(app: FastAPI, settings: Settings) -> None:
    """The last one added is the first to see a request."""
    public = [
        route.path
        for route in (*pages.router.routes, *health.router.routes)
        if isinstance(route, APIRoute)
    ]
    app.add_middleware(BodyLimit, limit=settings.max_request_bytes)
    app.add_middleware(Guard, settings=settings, public=public)
    if settings.cors_origins:
        app.add_middleware(
            CORSMiddleware,
            allow_origins=settings.cors_origins,
            allow_methods=["*"],
            allow_headers=["*"],
            expose_headers=["X-Request-ID", "Retry-After"],
        )
    app.add_middleware(logs.RequestLog)
