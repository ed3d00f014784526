"""The application: ``create_app`` puts the parts together. Importing this module makes none."""

from __future__ import annotations

from collections.abc import Sequence

from fastapi import FastAPI
from fastapi.routing import APIRoute
from starlette.middleware.cors import CORSMiddleware

from app import version_router
from app.config import Settings
from app.dialects import table as dialects
from app.dialects.dialect_router import DialectRouter
from app.dialects.documents import documents
from app.lifespan.after_start import WaitForServices
from app.lifespan.core import Core
from app.lifespan.engine_runtime import WorkerGroup
from app.lifespan.startup import lifespan
from app.lifespan.templates import built_in_templates
from app.monitoring import health, metrics
from app.reference.pages import make_router
from app.version_router import NAMES, VersionRouter
from app.web import problem_details, request_log
from app.web.auth import Guard
from app.web.body_limit import BodyLimit
from app.web.bounds import BodyBounds
from app.web.error_rendering import HANDLED, ErrorRenderer, ErrorRenderers
from app.web.idempotency import IdempotentRequests
from app.web.lazy_router import LazyRouter
from app.web.lingering_close import LingeringClose

PAGES = make_router(documents())
"""Home, Swagger UI, ReDoc and what they load. The newest version, the last, is shown first."""

ERROR_RENDERERS: dict[str, ErrorRenderer] = {
    "/api": problem_details.render,
    **dialects.error_renderers(),
}
"""Prefix of the paths of a dialect → how it answers errors; all other paths as ``/api``."""

EXPOSED_HEADERS = (
    "X-Request-ID",
    "Retry-After",
    "ETag",
    "Location",
    "X-Should-Retry",
    "X-Skipped-Tools",
    "Request-ID",
    "Idempotent-Replayed",
    "Mcp-Session-Id",
)
"""Headers of answers that pages of other origins may read."""


def create_app(
    settings: Settings | None = None,
    *,
    bounded: bool = False,
    prepared: bool = False,
    workers: WorkerGroup | None = None,
) -> FastAPI:
    """Build the application from settings, by default those of the environment and ``.env``.

    ``bounded``: the server that runs it keeps the bounds that only a server can keep, as
    ``app.web.server`` does; otherwise the log says which are missing. ``prepared``: the caller has
    checked the database with ``migrate.prepare``. ``workers``: the processes of which this is one;
    found out at the start where the caller has not started them. Raises BrokenTemplate.
    """
    settings = settings or Settings()
    errors = ErrorRenderers(problem_details.render, ERROR_RENDERERS)
    core = Core(
        settings=settings,
        templates=built_in_templates(settings),
        traffic=request_log.Traffic(),
        errors=errors,
        versions=tuple(map(VersionRouter, reversed(NAMES))),  # the newest is asked for most
        dialects=tuple(map(DialectRouter, dialects.DIALECTS)),
        bounded=bounded,
        prepared=prepared,
        workers=workers or WorkerGroup(),
        finds_workers=workers is None,
    )
    app = FastAPI(
        title="FastAPI SLLM API",
        openapi_url=None,
        redirect_slashes=False,
        lifespan=lambda _: lifespan(core),
    )
    _add_routes(app, (*core.versions, *core.dialects))
    _add_middleware(app, core)
    for kind in HANDLED:
        app.add_exception_handler(kind, errors.handle)
    return app


def bounded_app() -> FastAPI:
    """Build the application for ``app.cli.serve``, which keeps bounds and checks the database."""
    return create_app(bounded=True, prepared=True)


def __getattr__(name: str) -> FastAPI:
    """Make ``app`` when it is first asked for, so that ``uvicorn app.main:app`` works too."""
    if name != "app":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return globals().setdefault(name, create_app())  # type: ignore[no-any-return]


def _add_routes(app: FastAPI, routers: Sequence[LazyRouter]) -> None:
    for router in routers:
        router.join(app.router)
    app.include_router(PAGES)
    app.include_router(health.router)
    app.include_router(metrics.router)


def _add_middleware(app: FastAPI, core: Core) -> None:
    """The last one added is the first to see a request."""
    settings = core.settings
    if settings.idempotency_mb:
        app.add_middleware(IdempotentRequests, errors=core.errors, takes_keys=dialects.takes_keys)
    app.add_middleware(BodyLimit, bounds=_body_bounds(settings), errors=core.errors)
    app.add_middleware(
        Guard,
        settings=settings,
        errors=core.errors,
        public=_public_paths(),
        is_stream=_is_stream,
    )
    if settings.cors_origins:
        _add_cors(app, settings)
    app.add_middleware(WaitForServices)
    app.add_middleware(request_log.RequestLog, traffic=core.traffic, errors=core.errors)
    app.add_middleware(LingeringClose, seconds=settings.body_window_seconds)


def _public_paths() -> list[str]:
    """Paths that need no API key."""
    routes = (*PAGES.routes, *health.router.routes)
    paths = (route.path for route in routes if isinstance(route, APIRoute))
    return [*paths, *dialects.PUBLIC_PATHS]


def _is_stream(path: str) -> bool:
    return version_router.is_stream(path) or dialects.is_stream(path)


def _takes_large_body(path: str) -> bool:
    return version_router.takes_large_body(path) or dialects.takes_large_body(path)


def _body_bounds(settings: Settings) -> BodyBounds:
    return BodyBounds(
        limit=settings.max_request_bytes,
        large_limit=settings.largest_request(),
        is_large=_takes_large_body,
        pace=settings.body_pace(),
    )


def _add_cors(app: FastAPI, settings: Settings) -> None:
    app.add_middleware(
        CORSMiddleware,
        allow_origins=settings.cors_origins,
        allow_methods=["*"],
        allow_headers=["*"],
        expose_headers=EXPOSED_HEADERS,
    )
