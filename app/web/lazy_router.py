"""Routers whose routes are imported later: a start that is only asked for its health needs none.

``AfterStart`` calls ``LazyRouter.load`` in a thread as soon as the server is up, and a request that
comes earlier waits there; a router that has no such server loads itself.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from threading import Lock

from fastapi import APIRouter
from starlette.routing import BaseRoute, Match
from starlette.types import Scope


class LazyRouter(APIRouter):
    """Routes of some paths; the framework asks none of them about other paths.

    It would compare every path with each route in turn, which was a third of the time that a
    request spent in the server.
    """

    def __init__(self) -> None:
        super().__init__()
        self._loading = Lock()
        self._loaded = False

    @abstractmethod
    def owns(self, scope: Scope) -> bool:
        """Whether the path of the request is one that only this router may have a route for."""

    @abstractmethod
    def import_routes(self) -> Sequence[BaseRoute]:
        """Import the routes."""

    @abstractmethod
    def join(self, router: APIRouter) -> None:
        """Give ``router`` all routes, also those that are loaded later."""

    def matches(self, scope: Scope) -> tuple[Match, Scope]:
        """Whether a route takes the request."""
        if not self.owns(scope):
            return Match.NONE, {}
        self.load()
        return super().matches(scope)

    def load(self) -> None:
        """Import the routes and take them, unless that has been done."""
        if self._loaded:
            return
        with self._loading:
            if not self._loaded:
                self.routes.extend(self.import_routes())
                self._mark_routes_changed()  # the framework remembers that there were none
                self._loaded = True
