"""The application: ``create_app`` puts the parts together. Importing this module makes none."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace

from fastapi import FastAPI
from fastapi.routing import APIRoute
from starlette.middleware.cors import CORSMiddleware

from app import versions
from app.config import Settings
from app.conversations.janitor import AbandonedTurnJanitor
from app.conversations.services import ConversationServices
from app.dependencies import State, VisionServices
from app.downloads.jobs import DownloadJobs
from app.media.intake import Intake
from app.monitoring import health, metrics
from app.provider.catalogue.checksum_jobs import ChecksumJobs
from app.provider.errors import ProviderError
from app.provider.pool.pool import ModelPool
from app.reference import pages
from app.storage import migrate
from app.storage.database import Database
from app.templates.library import TemplateLibrary, load
from app.v3.services.translate import parsed_template
from app.web import problem_details, request_log
from app.web.auth import Guard
from app.web.body_limit import BodyLimit
from app.web.bounds import BOUND_BY_SERVER, BodyBounds
from app.web.error_rendering import HANDLED, ErrorRenderer, ErrorRenderers
from app.web.lingering_close import LingeringClose
from app.web.upload_budget import UploadBudget

log = logging.getLogger(__name__)

ERROR_RENDERERS: dict[str, ErrorRenderer] = {"/api": problem_details.render}
"""Prefix of the paths of a dialect → how it answers errors; all other paths as ``/api``."""


def create_app(settings: Settings | None = None, *, bounded: bool = False) -> FastAPI:
    """Build the application from settings, by default those of the environment and ``.env``.

    ``bounded``: the server that runs it keeps the bounds that only a server can keep, as
    ``app.web.server`` does; otherwise the log says which are missing. Raises BrokenTemplate.
    """
    settings = settings or Settings()
    templates = _templates(settings)
    traffic = request_log.Traffic()
    errors = ErrorRenderers(problem_details.render, ERROR_RENDERERS)

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[State]:
        request_log.configure(settings.log_level)
        if not bounded:
            log.warning(
                "started without ./run.sh serve, so nothing keeps %s: put a proxy in front that "
                "bounds headers, slow clients and connections",
                ", ".join(BOUND_BY_SERVER),
            )
        if not templates.all():
            log.warning("there are no prompt templates in %s", settings.prompts_dir)
        migrate.prepare(settings.database_url)
        database = Database(settings.database_url)
        janitor = AbandonedTurnJanitor(database)
        await janitor.start()
        pool = ModelPool(replace(settings.pool(), untouched=database.files()))
        services = ConversationServices(
            database,
            pool,
            templates,
            max_messages=settings.max_history_length,
            answer_tokens=settings.default_max_tokens,
            max_images=settings.max_images,
        )
        checksums = ChecksumJobs()
        downloads = DownloadJobs(settings.hubs(), settings.models_dir, pool.cards)
        await downloads.start()
        intake = Intake(settings.media())
        # The server is up before its model is: who asks meanwhile is told how far it is.
        preloading = asyncio.create_task(_preload(pool))
        yield {
            "settings": settings,
            "pool": pool,
            "templates": templates,
            "database": database,
            "services": services,
            "checksums": checksums,
            "downloads": downloads,
            "vision": VisionServices(services, intake),
            "uploads": UploadBudget(settings.read_at_once()),
            "traffic": traffic,
            "errors": errors,
            "preloading": preloading,
        }
        preloading.cancel()
        await intake.close()
        await downloads.close()
        await checksums.close()
        await pool.close()
        await janitor.close()
        database.close()

    app = FastAPI(
        title="FastAPI SLLM API", openapi_url=None, redirect_slashes=False, lifespan=lifespan
    )
    _add_routes(app)
    _add_middleware(app, settings, traffic, errors)
    for kind in HANDLED:
        app.add_exception_handler(kind, errors.handle)
    return app


def bounded_app() -> FastAPI:
    """Build the application for ``app.cli.serve``, whose server keeps the bounds."""
    return create_app(bounded=True)


def __getattr__(name: str) -> FastAPI:
    """Make ``app`` when it is first asked for, so that ``uvicorn app.main:app`` works too."""
    if name != "app":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return globals().setdefault(name, create_app())  # type: ignore[no-any-return]


def _templates(settings: Settings) -> TemplateLibrary:
    """Only a folder that was asked for has to be there; raises BrokenTemplate."""
    if "prompts_dir" not in settings.model_fields_set and not settings.prompts_dir.exists():
        return TemplateLibrary(())
    return load(settings.prompts_dir, parsed_template)


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
    app.include_router(metrics.router)


def _add_middleware(
    app: FastAPI, settings: Settings, traffic: request_log.Traffic, errors: ErrorRenderers
) -> None:
    """The last one added is the first to see a request."""
    public = [
        route.path
        for route in (*pages.router.routes, *health.router.routes)
        if isinstance(route, APIRoute)
    ]
    app.add_middleware(
        BodyLimit,
        bounds=BodyBounds(
            limit=settings.max_request_bytes,
            large_limit=settings.largest_request(),
            large=versions.large_paths(),
            pace=settings.body_pace(),
        ),
        errors=errors,
    )
    app.add_middleware(
        Guard,
        settings=settings,
        errors=errors,
        public=public,
        streams=versions.streaming_paths(),
    )
    if settings.cors_origins:
        app.add_middleware(
            CORSMiddleware,
            allow_origins=settings.cors_origins,
            allow_methods=["*"],
            allow_headers=["*"],
            expose_headers=["X-Request-ID", "Retry-After", "ETag", "Location"],
        )
    app.add_middleware(request_log.RequestLog, traffic=traffic, errors=errors)
    app.add_middleware(LingeringClose, seconds=settings.body_window_seconds)
