"""What a dialect brings that has paths of its own, beside the versions under ``/api``."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from fastapi import APIRouter
from fastapi.routing import APIRoute
from pydantic import BaseModel

from app.web import openapi
from app.web.error_rendering import ErrorRenderer


@dataclass(frozen=True, slots=True)
class Dialect:
    """One dialect: its routes, with whole paths, and how it answers errors.

    ``style`` is what its OpenAPI document says of all routes; None: OpenAPI cannot describe it.
    ``schemas`` are models of answers and ``bodies`` of requests that no route refers to by type.
    Bodies on the paths ``large`` may hold pictures. ``render_other`` has how errors are answered
    under the further prefixes of its entry in ``app.dialects.table``, where that differs.
    """

    name: str
    routers: tuple[APIRouter, ...]
    render: ErrorRenderer
    style: openapi.Style | None = None
    schemas: tuple[type[BaseModel], ...] = ()
    bodies: tuple[type[BaseModel], ...] = ()
    large: frozenset[str] = frozenset()
    render_other: Mapping[str, ErrorRenderer] = field(default_factory=dict)

    def renderer(self, prefix: str) -> ErrorRenderer:
        """How errors are answered under a prefix."""
        return self.render_other.get(prefix, self.render)

    def routes(self) -> Iterator[APIRoute]:
        """All its routes."""
        for router in self.routers:
            yield from (route for route in router.routes if isinstance(route, APIRoute))

    def document(self) -> dict[str, Any]:
        """Its OpenAPI document."""
        if self.style is None:
            raise LookupError(f"{self.name} has no document")
        whole = APIRouter()
        for router in self.routers:
            whole.include_router(
                router, generate_unique_id_function=lambda route: f"{self.name}_{route.name}"
            )
        return openapi.document(self.name, whole.routes, self.schemas, self.bodies, self.style)

    def streams(self, path: str) -> bool:
        """Whether some method answers with events on this path."""
        return any(
            route.path_regex.match(path)
            and "text/event-stream" in route.responses.get(200, {}).get("content", {})
            for route in self.routes()
        )
