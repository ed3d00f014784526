"""The application: ``create_app`` puts the parts together. Importing this module makes none."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, replace

from fastapi import FastAPI
from fastapi.routing import APIRoute
from starlette.middleware.cors import CORSMiddleware

from app.config import Settings
from app.conversations.heartbeat import Heartbeat
from app.conversations.janitor import AbandonedTurnJanitor
from app.conversations.services import ConversationServices
from app.dependencies import State, VisionServices
from app.downloads.jobs import DownloadJobs
from app.media.intake import Intake
from app.monitoring import health, metrics
from app.provider.catalogue.checksum_jobs import ChecksumJobs
from app.provider.errors import ProviderError
from app.provider.pool.pool import ModelPool
from app.reference.pages import make_router
from app.storage import migrate
from app.storage.database import Database
from app.templates.library import TemplateLibrary, load
from app.version_router import NAMES, VersionRouter, documents, is_stream, takes_large_body
from app.web import problem_details, request_log
from app.web.auth import Guard
from app.web.body_limit import BodyLimit
from app.web.bounds import BOUND_BY_SERVER, BodyBounds
from app.web.error_rendering import HANDLED, ErrorRenderer, ErrorRenderers
from app.web.lingering_close import LingeringClose
from app.web.upload_budget import UploadBudget

log = logging.getLogger(__name__)

PAGES = make_router(documents())
"""Home, Swagger UI, ReDoc and what they load."""

ERROR_RENDERERS: dict[str, ErrorRenderer] = {"/api": problem_details.render}
"""Prefix of the paths of a dialect → how it answers errors; all other paths as ``/api``."""


HEAD_START_SECONDS = 0.05
"""What comes first after the start, mostly a health check, need not share a core with the loading
of the versions."""


@dataclass(frozen=True, slots=True)
class Core:
    """What exists before the server starts; ``bounded``: the server keeps the bounds it can."""

    settings: Settings
    templates: TemplateLibrary
    traffic: request_log.Traffic
    errors: ErrorRenderers
    versions: tuple[VersionRouter, ...]
    bounded: bool


def create_app(settings: Settings | None = None, *, bounded: bool = False) -> FastAPI:
    """Build the application from settings, by default those of the environment and ``.env``.

    ``bounded``: the server that runs it keeps the bounds that only a server can keep, as
    ``app.web.server`` does; otherwise the log says which are missing. Raises BrokenTemplate.
    """
    settings = settings or Settings()
    errors = ErrorRenderers(problem_details.render, ERROR_RENDERERS)
    versions = tuple(map(VersionRouter, reversed(NAMES)))  # the newest is asked for most
    core = Core(settings, _templates(settings), request_log.Traffic(), errors, versions, bounded)
    app = FastAPI(
        title="FastAPI SLLM API",
        openapi_url=None,
        redirect_slashes=False,
        lifespan=lambda _: _lifespan(core),
    )
    _add_routes(app, versions)
    _add_middleware(app, core)
    for kind in HANDLED:
        app.add_exception_handler(kind, errors.handle)
    return app


@asynccontextmanager
async def _lifespan(core: Core) -> AsyncIterator[State]:
    """Start the services, hand them to the requests, and close them in reverse order."""
    _log_start(core)
    async with AsyncExitStack() as stack:
        yield await _start(core, stack)


def _log_start(core: Core) -> None:
    request_log.configure(core.settings.log_level)
    if not core.bounded:
        log.warning(
            "started without ./run.sh serve, so nothing keeps %s: put a proxy in front that "
            "bounds headers, slow clients and connections",
            ", ".join(BOUND_BY_SERVER),
        )
    if not core.templates.all():
        log.warning("there are no prompt templates in %s", core.settings.prompts_dir)


async def _start(core: Core, stack: AsyncExitStack) -> State:
    settings = core.settings
    database = await _open_database(settings, stack)
    pool = ModelPool(replace(settings.pool(), untouched=database.files()))
    stack.push_async_callback(pool.close)
    heartbeat = _start_heartbeat(database, stack)
    services = _conversation_services(core, database, pool, heartbeat)
    checksums = ChecksumJobs()
    stack.push_async_callback(checksums.close)
    return {
        "settings": settings,
        "pool": pool,
        "templates": core.templates,
        "database": database,
        "services": services,
        "checksums": checksums,
        "downloads": await _start_downloads(settings, pool, stack),
        "vision": VisionServices(services, _intake(settings, stack)),
        "uploads": UploadBudget(settings.read_at_once()),
        "traffic": core.traffic,
        "errors": core.errors,
        "versions": _start_loading(core.versions, stack),
        "preloading": _start_preload(pool, stack),
    }


async def _open_database(settings: Settings, stack: AsyncExitStack) -> Database:
    migrate.prepare(settings.database_url)
    database = Database(settings.database_url)
    stack.callback(database.close)
    janitor = AbandonedTurnJanitor(database)
    await janitor.start()
    stack.push_async_callback(janitor.close)
    return database


def _start_heartbeat(database: Database, stack: AsyncExitStack) -> Heartbeat:
    heartbeat = Heartbeat(database)
    heartbeat.start()
    stack.push_async_callback(heartbeat.close)
    return heartbeat


def _conversation_services(
    core: Core, database: Database, pool: ModelPool, heartbeat: Heartbeat
) -> ConversationServices:
    return ConversationServices(
        database,
        pool,
        core.templates,
        heartbeat,
        max_messages=core.settings.max_history_length,
        answer_tokens=core.settings.default_max_tokens,
        max_images=core.settings.max_images,
    )


async def _start_downloads(
    settings: Settings, pool: ModelPool, stack: AsyncExitStack
) -> DownloadJobs:
    downloads = DownloadJobs(settings.hubs(), settings.models_dir, pool.cards)
    await downloads.start()
    stack.push_async_callback(downloads.close)
    return downloads


def _intake(settings: Settings, stack: AsyncExitStack) -> Intake:
    intake = Intake(settings.media())
    stack.push_async_callback(intake.close)
    return intake


def _start_loading(versions: Sequence[VersionRouter], stack: AsyncExitStack) -> asyncio.Task[None]:
    """Load the versions while the server is up; a request that comes earlier waits for them."""
    loading = asyncio.create_task(_load(versions))
    stack.callback(loading.cancel)
    return loading


async def _load(versions: Sequence[VersionRouter]) -> None:
    await asyncio.sleep(HEAD_START_SECONDS)
    for version in versions:
        await asyncio.to_thread(version.load)


def _start_preload(pool: ModelPool, stack: AsyncExitStack) -> asyncio.Task[None]:
    """Load the default model while the server is up: requests see how far the load is."""
    preloading = asyncio.create_task(_preload(pool))
    stack.callback(preloading.cancel)
    return preloading


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
    from app.v3.services.templates import parsed_template  # noqa: PLC0415 — only with templates

    return load(settings.prompts_dir, parsed_template)


async def _preload(pool: ModelPool) -> None:
    try:
        card = await asyncio.to_thread(pool.card, None)
        await pool.preload(card.id)
    except ProviderError as error:
        log.warning("no model is loaded: %s", error)


def _add_routes(app: FastAPI, versions: Sequence[VersionRouter]) -> None:
    for version in versions:
        version.join(app.router)
    app.include_router(PAGES)
    app.include_router(health.router)
    app.include_router(metrics.router)


def _add_middleware(app: FastAPI, core: Core) -> None:
    """The last one added is the first to see a request."""
    settings = core.settings
    app.add_middleware(BodyLimit, bounds=_body_bounds(settings), errors=core.errors)
    app.add_middleware(
        Guard,
        settings=settings,
        errors=core.errors,
        public=_public_paths(),
        is_stream=is_stream,
    )
    if settings.cors_origins:
        _add_cors(app, settings)
    app.add_middleware(request_log.RequestLog, traffic=core.traffic, errors=core.errors)
    app.add_middleware(LingeringClose, seconds=settings.body_window_seconds)


def _public_paths() -> list[str]:
    """Paths that need no API key."""
    routes = (*PAGES.routes, *health.router.routes)
    return [route.path for route in routes if isinstance(route, APIRoute)]


def _body_bounds(settings: Settings) -> BodyBounds:
    return BodyBounds(
        limit=settings.max_request_bytes,
        large_limit=settings.largest_request(),
        is_large=takes_large_body,
        pace=settings.body_pace(),
    )


def _add_cors(app: FastAPI, settings: Settings) -> None:
    app.add_middleware(
        CORSMiddleware,
        allow_origins=settings.cors_origins,
        allow_methods=["*"],
        allow_headers=["*"],
        expose_headers=["X-Request-ID", "Retry-After", "ETag", "Location"],
    )
