"""The page, and the files that it loads: each with an ETag, so that only changes are sent."""

from __future__ import annotations

import asyncio
import gzip
import hashlib
from collections.abc import Awaitable, Callable
from functools import cache
from pathlib import Path
from string import Template

from fastapi import APIRouter, Request
from fastapi.responses import Response

STATIC = Path(__file__).parent / "static"

PREFIX = "/assets/page"

FIRST = "index.html"
"""The page itself, which stands at ``/``."""

POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob:; "
    "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; "
    "require-trusted-types-for 'script'; trusted-types 'none'"
)
"""Content-Security-Policy: nothing from elsewhere, and no HTML is made from text."""

HEADERS = {
    "Cache-Control": "no-cache",
    "Content-Security-Policy": POLICY,
    "Referrer-Policy": "no-referrer",
    "Vary": "Accept, Accept-Encoding",
    "X-Content-Type-Options": "nosniff",
}

# Not the types of the machine's own table: a module that is text/plain is not run.
TYPES = {
    ".css": "text/css",
    ".html": "text/html",
    ".js": "text/javascript",
    ".json": "application/json",
}


def add_routes(router: APIRouter) -> None:
    """Add a route for each file that the page loads."""
    for name in _names():
        router.add_api_route(f"{PREFIX}/{name}", _route(name), methods=["GET", "HEAD"])


def page(request: Request, newest: str) -> Response:
    """The page, for a server whose newest version of the API has this name."""
    return _answer(request, _page(newest), TYPES[".html"])


def _names() -> list[str]:
    files = (path for path in STATIC.rglob("*") if path.suffix in TYPES)
    return sorted(path.relative_to(STATIC).as_posix() for path in files if path.name != FIRST)


def _route(name: str) -> Callable[[Request], Awaitable[Response]]:
    async def file(request: Request) -> Response:
        content = await asyncio.to_thread(_content, name)
        return _answer(request, content, TYPES[Path(name).suffix])

    return file


def _answer(request: Request, content: bytes, media_type: str) -> Response:
    # A weak tag: it names the content, packed or not.
    headers = HEADERS | {"ETag": f'W/"{hashlib.sha256(content).hexdigest()[:32]}"'}
    if headers["ETag"] in request.headers.get("if-none-match", ""):
        return Response(status_code=304, headers=headers)
    if "gzip" in request.headers.get("accept-encoding", ""):
        content, headers = _packed(content), headers | {"Content-Encoding": "gzip"}
    return Response(content, headers=headers, media_type=media_type)


@cache
def _packed(content: bytes) -> bytes:
    return gzip.compress(content, mtime=0)


@cache
def _content(name: str) -> bytes:
    return (STATIC / name).read_bytes()


@cache
def _page(newest: str) -> bytes:
    """The page; its modules are asked for at once, not each when another one imports it."""
    modules = [name for name in _names() if name.endswith(".js") and name != "theme.js"]
    links = [f'<link rel="modulepreload" href="assets/page/{name}">' for name in modules]
    text = Template(_content(FIRST).decode()).substitute(newest=newest, preloads="\n".join(links))
    return text.encode()
