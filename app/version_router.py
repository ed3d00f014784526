"""The versions of the API, loaded after the start.

``app.versions`` imports the routes and wire models of all versions, which is half of what a start
would import; a server that is only asked for its health needs none of it. So nothing that a start
imports may import ``app.versions``: what it needs of the versions is here, and imports them inside
its functions (see ``app.web.lazy_router``).
"""

# ruff: noqa: PLC0415

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any

from fastapi import APIRouter
from starlette.routing import BaseRoute
from starlette.types import Scope

from app.reference.documents import Documents
from app.web.lazy_router import LazyRouter

NAMES = ("v1", "v2", "v3", "v4", "v5", "v6")
"""Of all versions, the oldest first; a test compares them with ``app.versions.RELEASES``."""


class VersionRouter(LazyRouter):
    """The routes of one version."""

    def __init__(self, name: str) -> None:
        super().__init__()
        self._name = name
        self._within = f"/api/{name}/"

    def owns(self, scope: Scope) -> bool:
        """Whether the path is one of this version."""
        # Not "starts with": behind a proxy the path may begin with another prefix.
        return self._within in scope["path"]

    def import_routes(self) -> Sequence[BaseRoute]:
        """Import the version."""
        from app import versions

        return versions.routes(self._name)

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
