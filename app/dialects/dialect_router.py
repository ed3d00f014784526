"""The routes of a dialect that has paths of its own, loaded after the start."""

from __future__ import annotations

from collections.abc import Sequence

from fastapi import APIRouter
from starlette.routing import BaseRoute
from starlette.types import Scope

from app.dialects.table import DialectEntry, owner_of_request
from app.web.lazy_router import LazyRouter


class DialectRouter(LazyRouter):
    """The routes of one dialect."""

    def __init__(self, entry: DialectEntry) -> None:
        super().__init__()
        self._entry = entry

    def owns(self, scope: Scope) -> bool:
        """Whether the path belongs to this dialect."""
        return owner_of_request(scope) is self._entry

    def import_routes(self) -> Sequence[BaseRoute]:
        """Import the dialect."""
        return list(self._entry.load().routes())

    def join(self, router: APIRouter) -> None:
        """Give ``router`` everything of this dialect, at its own paths."""
        router.include_router(
            self, generate_unique_id_function=lambda route: f"{self._entry.name}_{route.name}"
        )
