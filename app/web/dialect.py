"""What a dialect brings that has paths of its own, beside the versions under ``/api``."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from fastapi import APIRouter
from fastapi.routing import APIRoute

from app.web.error_rendering import ErrorRenderer


@dataclass(frozen=True, slots=True)
class Dialect:
    """One dialect: its routes, with whole paths, and how it answers errors.

    ``document`` makes its OpenAPI document. Bodies on the paths ``large`` may hold pictures.
    """

    routers: tuple[APIRouter, ...]
    render: ErrorRenderer
    document: Callable[[], dict[str, Any]]
    large: frozenset[str] = frozenset()

    def routes(self) -> Iterator[APIRoute]:
        """All its routes."""
        for router in self.routers:
            yield from (route for route in router.routes if isinstance(route, APIRoute))

    def streams(self, path: str) -> bool:
        """Whether some method answers with events on this path."""
        return any(
            route.path_regex.match(path)
            and "text/event-stream" in route.responses.get(200, {}).get("content", {})
            for route in self.routes()
        )
