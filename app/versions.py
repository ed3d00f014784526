"""The API's versions: a table of what each release adds, and vN composed of v1 … vN.

A later release replaces a route of an earlier one by declaring the same method and path. Two
declarations in one release stop the start-up.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from fastapi import APIRouter
from fastapi.routing import APIRoute
from pydantic import BaseModel
from starlette.routing import compile_path

from app.v1.routers import chat as v1_chat
from app.v1.routers import models as v1_models
from app.v2.models.events import EVENTS
from app.v2.routers import chat as v2_chat
from app.v3.models.events import EVENTS as V3_EVENTS
from app.v3.routers import chat as v3_chat
from app.v3.routers import templates as v3_templates
from app.v4.models.events import EVENTS as V4_EVENTS
from app.v4.routers import chat as v4_chat
from app.v4.routers import conversations as v4_conversations
from app.v4.routers import templates as v4_templates
from app.v4.routers import transfer as v4_transfer
from app.v4.routers import turns as v4_turns
from app.v5.models.chat import ChatRequest
from app.v5.models.events import EVENTS as V5_EVENTS
from app.v5.models.models import LOAD_EVENTS
from app.v5.models.transfer import Transfer
from app.v5.routers import chat as v5_chat
from app.v5.routers import conversations as v5_conversations
from app.v5.routers import models as v5_models
from app.v5.routers import pull as v5_pull
from app.v5.routers import transfer as v5_transfer
from app.v5.routers import turns as v5_turns
from app.v5.routers import vision as v5_vision
from app.v6.models.chat import ChatRequest as V6ChatRequest
from app.v6.models.events import EVENTS as V6_EVENTS
from app.v6.models.transfer import Transfer as V6Transfer
from app.v6.routers import chat as v6_chat
from app.v6.routers import conversations as v6_conversations
from app.v6.routers import tools as v6_tools
from app.v6.routers import transfer as v6_transfer
from app.v6.routers import turns as v6_turns
from app.version_router import VersionRouter
from app.web import openapi


@dataclass(frozen=True)
class Release:
    """What one version adds.

    ``schemas`` are models of answers to document that no route refers to by type, ``bodies`` such
    of requests. The paths ``large`` take pictures, from this version on.
    """

    routers: tuple[APIRouter, ...]
    schemas: tuple[type[BaseModel], ...] = ()
    bodies: tuple[type[BaseModel], ...] = ()
    large: tuple[str, ...] = ()


RELEASES = (
    Release((v1_chat.router, v1_models.router)),
    Release((v2_chat.router,), tuple(EVENTS.values())),
    Release((v3_chat.router, v3_templates.router), tuple(V3_EVENTS.values())),
    Release(
        (
            v4_chat.router,
            v4_turns.router,
            v4_conversations.router,
            v4_transfer.router,
            v4_templates.router,
        ),
        tuple(V4_EVENTS.values()),
    ),
    Release(
        (
            v5_models.router,
            v5_pull.router,
            v5_chat.router,
            v5_vision.router,
            v5_turns.router,
            v5_conversations.router,
            v5_transfer.router,
        ),
        (*LOAD_EVENTS.values(), *V5_EVENTS.values()),
        bodies=(ChatRequest, Transfer),
        large=(
            "/chat",
            "/chat/stream",
            "/conversations/import",
            "/tokens",
            "/vision/chat",
            "/vision/chat/stream",
        ),
    ),
    Release(
        (
            v6_chat.router,
            v6_turns.router,
            v6_tools.router,
            v6_conversations.router,
            v6_transfer.router,
        ),
        tuple(V6_EVENTS.values()),
        bodies=(V6ChatRequest, V6Transfer),
    ),
)
"""v1, v2, … in this order."""

NAMES = tuple(f"v{number}" for number in range(1, len(RELEASES) + 1))

Key = tuple[str, str]
"""Path and method."""


class DuplicateRoute(Exception):
    """One release declares the same method and path twice."""


def compose(releases: Sequence[Release]) -> list[APIRoute]:
    """The routes of the newest of ``releases``, by path; raises DuplicateRoute."""
    routes: dict[Key, APIRoute] = {}
    for release in releases:
        routes |= _declared(release)
    return [routes[key] for key in sorted(routes)]


def _declared(release: Release) -> dict[Key, APIRoute]:
    declared: dict[Key, APIRoute] = {}
    for key, route in _keyed(release):
        if key in declared:
            raise DuplicateRoute(f"{key[1]} {key[0]} is declared twice in one release.")
        declared[key] = route
    return declared


def _keyed(release: Release) -> Iterator[tuple[Key, APIRoute]]:
    for router in release.routers:
        for route in router.routes:
            if isinstance(route, APIRoute):
                yield (route.path, _method(route)), route


def _method(route: APIRoute) -> str:
    """The one method: of a route with several, a later release could replace half."""
    (method,) = route.methods or set[str]()
    return method


def routes(name: str) -> list[APIRoute]:
    """The routes of one version, by path."""
    return compose(RELEASES[: NAMES.index(name) + 1])


def _large_paths() -> frozenset[str]:
    return frozenset(
        f"/api/{name}{path}"
        for at, name in enumerate(NAMES)
        for release in RELEASES[: at + 1]
        for path in release.large
    )


LARGE_PATHS = _large_paths()
"""Whole paths, in every version, whose bodies may hold pictures."""


def _streaming_paths() -> tuple[re.Pattern[str], ...]:
    return tuple(
        compile_path(f"/api/{name}{path}")[0]
        for name in NAMES
        for path in sorted({route.path for route in routes(name) if _streams(route)})
    )


def _streams(route: APIRoute) -> bool:
    return "text/event-stream" in route.responses.get(200, {}).get("content", {})


STREAMING_PATHS = _streaming_paths()
"""Whole paths, in every version, on which some method answers with events."""


def document(name: str) -> dict[str, Any]:
    """The OpenAPI document of one version."""
    releases = RELEASES[: NAMES.index(name) + 1]
    # By name, so that a later release replaces a schema as it does a route.
    schemas = {schema.__name__: schema for release in releases for schema in release.schemas}
    bodies = {body.__name__: body for release in releases for body in release.bodies}
    router, version = APIRouter(), VersionRouter(name)
    version.load()
    version.join(router)
    return openapi.document(name, router.routes, [*schemas.values()], [*bodies.values()])
