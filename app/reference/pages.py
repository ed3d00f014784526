"""The pages people open: home, Swagger UI, ReDoc. Every file comes from this machine."""

from __future__ import annotations

import asyncio
import importlib.util
import json
import mimetypes
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from functools import cache
from html import escape
from pathlib import Path
from string import Template
from typing import Any

from fastapi import APIRouter, Request
from fastapi.responses import HTMLResponse, JSONResponse, Response, StreamingResponse

from app.page import routes as talking_page
from app.reference.documents import Documents

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


def make_router(documents: Documents) -> APIRouter:
    """All pages, the files they load, and the documents they show."""
    router, pages = APIRouter(include_in_schema=False), Pages(tuple(documents))
    for path, page in (("/", pages.home), ("/docs", pages.swagger), ("/redoc", pages.redoc)):
        router.add_api_route(path, page, methods=["GET", "HEAD"])
    talking_page.add_routes(router)
    for name, package in ASSETS.items():
        router.add_api_route(f"/assets/{name}", _asset(name, package))
    for name, document in documents.items():
        router.add_api_route(f"/api/{name}/openapi.json", _openapi(document))
    return router


@dataclass(frozen=True, slots=True)
class Pages:
    """The pages for these versions of the API, the oldest first."""

    versions: tuple[str, ...]

    async def home(self, request: Request) -> Response:
        """The page to talk on for browsers, and JSON for programs."""
        if "text/html" in request.headers.get("accept", ""):
            return talking_page.page(request, self.versions[-1])
        about = "Small language models on your own machine."
        return JSONResponse({"name": "FastAPI SLLM API", "about": about, "links": self._links()})

    async def swagger(self, request: Request) -> Response:
        """Swagger UI, to try the API."""
        return self._page("swagger.html", request)

    async def redoc(self, request: Request) -> Response:
        """ReDoc, to read about the API."""
        return self._page("redoc.html", request)

    def _links(self) -> dict[str, object]:
        openapi = {name: f"/api/{name}/openapi.json" for name in self.versions}
        return {"docs": "/docs", "redoc": "/redoc", "health": "/health", "openapi": openapi}

    def _page(self, name: str, request: Request) -> Response:
        options = "".join(f"<option>{escape(each)}</option>" for each in self.versions)
        page = Template((STATIC / name).read_text(encoding="utf-8")).substitute(
            versions=options, newest=self.versions[-1]
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


def _openapi(document: Callable[[], dict[str, Any]]) -> Callable[[], Awaitable[Response]]:
    @cache
    def text() -> str:
        return json.dumps(document(), ensure_ascii=False)

    async def openapi() -> Response:
        return Response(text(), media_type="application/json")

    return openapi
