"""The versions of the API, loaded after the start.

``app.versions`` imports the routes and wire models of all versions, which is half of what a start
would import; a server that is only asked for its health needs none of it. So nothing that a start
imports may import ``app.versions``: what it needs of the versions is here, and imports them inside
its functions. ``AfterStart`` calls ``VersionRouter.load`` in a thread as soon as the server is up,
and a request that comes earlier waits there; a router that has no such server loads itself.
"""

# ruff: noqa: PLC0415

from __future__ import annotations

from functools import partial
from threading import Lock
from typing import Any

from fastapi import APIRouter
from starlette.routing import Match
from starlette.types import Scope

from app.reference.documents import Documents

NAMES = ("v1", "v2", "v3", "v4", "v5")
"""Of all versions, the oldest first; a test compares them with ``app.versions.RELEASES``."""


class VersionRouter(APIRouter):
    """The routes of one version; the framework asks none of them about other versions' paths.

    It would compare every path with each route in turn, which was a third of the time that a
    request spent in the server.
    """

    def __init__(self, name: str) -> None:
        super().__init__()
        self._name = name
        self._within = f"/api/{name}/"
        self._loading = Lock()
        self._loaded = False

    def matches(self, scope: Scope) -> tuple[Match, Scope]:
        """Whether a route of this version takes the request."""
        # Not "starts with": behind a proxy the path may begin with another prefix.
        if self._within not in scope["path"]:
            return Match.NONE, {}
        self.load()
        return super().matches(scope)

    def load(self) -> None:
        """Import the version and take its routes, unless that has been done."""
        if self._loaded:
            return
        from app import versions

        with self._loading:
            if not self._loaded:
                self.routes.extend(versions.routes(self._name))
                self._mark_routes_changed()  # the framework remembers that there were none
                self._loaded = True

    def join(self, router: APIRouter) -> None:
        """Give ``router`` everything of this version, under ``/api/<name>``."""
        router.include_router(
            self,
            prefix=f"/api/{self._name}",
            generate_unique_id_function=lambda route: f"{self._name}_{route.name}",
        )


def takes_large_body(path: str) -> bool:
    """Whether bodies on this whole path may hold pictures, in some version."""
    if not _is_of_a_version(path):
        return False
    from app import versions

    return path in versions.LARGE_PATHS


def is_stream(path: str) -> bool:
    """Whether some method answers with events on this whole path, in some version."""
    if not _is_of_a_version(path):
        return False
    from app import versions

    return any(pattern.match(path) for pattern in versions.STREAMING_PATHS)


def _is_of_a_version(path: str) -> bool:
    return path.startswith("/api/")


def documents() -> Documents:
    """What makes the OpenAPI document of each version, the oldest first."""
    return {name: partial(_document, name) for name in NAMES}


def _document(name: str) -> dict[str, Any]:
    from app import versions

    return versions.document(name)
