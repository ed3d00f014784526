"""Which methods an address takes: a refusal must name them all, and the framework names one's."""

from __future__ import annotations

from fastapi.routing import iter_route_contexts
from starlette.requests import Request
from starlette.routing import Match

METHODS = ("DELETE", "GET", "PATCH", "POST", "PUT")


def allowed(request: Request) -> str:
    """The header Allow for the address of a request."""
    # An address of its own is none of those that a pattern like /things/{id} stands for.
    taken = _of_its_own(request) or {method for method in METHODS if _takes(request, method)}
    return ", ".join(method for method in METHODS if method in taken)


def _of_its_own(request: Request) -> set[str]:
    routes = iter_route_contexts(request.app.routes)
    named = [route for route in routes if route.path == request.scope["path"]]
    return {method for route in named for method in route.methods or ()}


def _takes(request: Request, method: str) -> bool:
    scope = {**request.scope, "method": method}
    return any(route.matches(scope)[0] is Match.FULL for route in request.app.router.routes)
