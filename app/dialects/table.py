"""Every dialect with paths of its own: a prefix, and the function that imports it.

Nothing here imports a dialect before a request, or ``AfterStart``, needs it. Versions under
``/api`` are in ``app.version_router``.
"""

# ruff: noqa: PLC0415

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

from starlette.responses import Response
from starlette.types import Scope

from app.reference.documents import Documents
from app.web.error_rendering import ErrorRenderer

if TYPE_CHECKING:
    from app.web.dialect import Dialect


@dataclass(frozen=True, slots=True)
class DialectEntry:
    """A dialect by its ``name``, which owns ``prefix``, ``others`` and all paths below them.

    Of two that own a path it belongs to the one with the longer prefix. Paths in ``public`` need no
    API key. A protocol that OpenAPI cannot describe is not ``documented`` by it. One whose requests
    have ids of their own takes no idempotency ``keys``.
    """

    name: str
    prefix: str
    load: Callable[[], Dialect]
    public: tuple[str, ...] = ()
    others: tuple[str, ...] = ()
    documented: bool = True
    keys: bool = True

    @property
    def prefixes(self) -> tuple[str, ...]:
        """All that it owns."""
        return (self.prefix, *self.others)


def _openai() -> Dialect:
    from app.openai.dialect import DIALECT

    return DIALECT


def _anthropic() -> Dialect:
    from app.anthropic.dialect import DIALECT

    return DIALECT


def _tool() -> Dialect:
    from app.tool.dialect import DIALECT

    return DIALECT


def _mcp() -> Dialect:
    from app.mcp.dialect import DIALECT

    return DIALECT


DIALECTS = (
    DialectEntry("openai", "/v1", _openai, public=("/v1/health",), others=("/v2",)),
    DialectEntry("anthropic", "/v1/messages", _anthropic),
    DialectEntry("tool", "/tool", _tool),
    DialectEntry("mcp", "/mcp", _mcp, documented=False, keys=False),
)
"""All of them."""

PUBLIC_PATHS = tuple(path for entry in DIALECTS for path in entry.public)
"""Paths that need no API key."""


def owner(path: str) -> DialectEntry | None:
    """The dialect that a path belongs to, if there is one."""
    owned = {
        prefix: entry
        for entry in DIALECTS
        for prefix in entry.prefixes
        if f"{path}/".startswith(f"{prefix}/")
    }
    return owned[max(owned, key=len)] if owned else None


def owner_of_request(scope: Scope) -> DialectEntry | None:
    """The same for a request, whose path may begin with the prefix of a proxy."""
    path: str = scope["path"]
    return owner(path.removeprefix(scope.get("root_path", "")))


def takes_keys(scope: Scope) -> bool:
    """Whether a request to this path, of a dialect or a version, may have an idempotency key."""
    entry = owner_of_request(scope)
    return entry.keys if entry else "/api/" in scope["path"]


def takes_large_body(path: str) -> bool:
    """Whether bodies on this whole path may hold pictures."""
    entry = owner(path)
    return entry is not None and path in entry.load().large


def is_stream(path: str) -> bool:
    """Whether some method answers with events on this whole path."""
    entry = owner(path)
    return entry is not None and entry.load().streams(path)


def error_renderers() -> dict[str, ErrorRenderer]:
    """Prefix → how the dialect answers errors, importing it for the first one."""
    return {
        prefix: partial(_render, entry, prefix) for entry in DIALECTS for prefix in entry.prefixes
    }


def _render(entry: DialectEntry, prefix: str, error: Exception, request_id: str) -> Response:
    return entry.load().renderer(prefix)(error, request_id)


def documents() -> Documents:
    """Name → what makes the OpenAPI document of the dialect."""
    return {entry.name: partial(_document, entry) for entry in DIALECTS if entry.documented}


def _document(entry: DialectEntry) -> dict[str, Any]:
    return entry.load().document()
