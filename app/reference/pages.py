"""The pages people open: home, Swagger UI, ReDoc. Every file comes from this machine."""

from __future__ import annotations

import asyncio
import importlib.util
import json
import mimetypes
from collections.abc import AsyncIterator, Awaitable, Callable
from functools import cache
from html import escape
from pathlib import Path
from string import Template

from fastapi import APIRouter, Request
from fastapi.responses import HTMLResponse, JSONResponse, Response, StreamingResponse

from app import versions

STATIC = Path(__file__).parent / "static"

ASSETS = {
    "swagger-ui-bundle.js": "fastapi_offline",
    "swagger-ui.css": "fastapi_offline",
    "redoc.standalone.js": "fastapi_offline",
    "docs.js": __package__,
    "pages.css": __package__,
    "icon.svg": __package__,
}
"""File name → the package whose ``static`` folder holds it."""

PIECE = 64 * 1024
"""Bytes of a file that are sent at once."""

POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; "
    "img-src 'self' data:; font-src 'self' data:; connect-src 'self'; worker-src blob:; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
"""Content-Security-Policy of the pages: nothing from elsewhere, no script in the page."""

LINKS = {
    "docs": "/docs",
    "redoc": "/redoc",
    "health": "/health",
    "openapi": {name: f"/api/{name}/openapi.json" for name in versions.NAMES},
}

router = APIRouter(include_in_schema=False)


@router.api_route("/", methods=["GET", "HEAD"])
async def home(request: Request) -> Response:
    """Introduce the server: a page for browsers, JSON for programs."""
    if "text/html" in request.headers.get("accept", ""):
        return _page("home.html", request)
    about = "Small language models on your own machine."
    return JSONResponse({"name": "FastAPI SLLM API", "about": about, "links": LINKS})


@router.api_route("/docs", methods=["GET", "HEAD"])
async def swagger(request: Request) -> Response:
    """Swagger UI, to try the API."""
    return _page("swagger.html", request)


@router.api_route("/redoc", methods=["GET", "HEAD"])
async def redoc(request: Request) -> Response:
    """ReDoc, to read about the API."""
    return _page("redoc.html", request)


def _page(name: str, request: Request) -> Response:
    options = "".join(f"<option>{escape(each)}</option>" for each in versions.NAMES)
    page = Template((STATIC / name).read_text(encoding="utf-8")).substitute(
        versions=options, newest=versions.NAMES[-1], base=escape(str(request.base_url))
    )
    return HTMLResponse(page, headers={"Content-Security-Policy": POLICY})


def _asset(name: str, package: str) -> Callable[[], Awaitable[Response]]:
    spec = importlib.util.find_spec(package)
    if spec is None or spec.origin is None:
        raise ModuleNotFoundError(f"{package}, which holds {name}, is not installed")
    path = Path(spec.origin).parent / "static" / name

    async def asset() -> Response:
        content = await asyncio.to_thread(_content, path)
        headers = {"Cache-Control": "max-age=3600", "Content-Length": str(len(content))}
        kind, _ = mimetypes.guess_type(name)
        return StreamingResponse(_pieces(content), headers=headers, media_type=kind)

    return asset


@cache
def _content(path: Path) -> bytes:
    """Kept, so that a client which does not read its answer holds no open file."""
    return path.read_bytes()


async def _pieces(content: bytes) -> AsyncIterator[bytes]:
    """Pieces of the size that is read ahead: a client that does not read holds two of them."""
    for start in range(0, len(content), PIECE):
        yield content[start : start + PIECE]


def _openapi(name: str) -> Callable[[], Awaitable[Response]]:
    async def openapi() -> Response:
        return Response(_document(name), media_type="application/json")

    return openapi


@cache
def _document(name: str) -> str:
    return json.dumps(versions.document(name), ensure_ascii=False)


for _name, _package in ASSETS.items():
    router.add_api_route(f"/assets/{_name}", _asset(_name, _package))
for _name in versions.NAMES:
    router.add_api_route(f"/api/{_name}/openapi.json", _openapi(_name))
