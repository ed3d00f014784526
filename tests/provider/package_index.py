"""A small package index that pip reads, and wheels for it."""

from __future__ import annotations

import base64
import hashlib
import io
import os
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler
from urllib.parse import urlsplit
from zipfile import ZIP_DEFLATED, ZipFile

import pytest

from tests.provider.hub_server import Server

PACKAGE = "tiny-model"
ABOUT = "Metadata-Version: 2.4\nName: {}\nVersion: {}\nLicense-Expression: Apache-2.0\n\nText"


@dataclass
class Index:
    """Files of the one package by name, how the index behaves, and what it was asked for."""

    files: dict[str, bytes]
    package: str = PACKAGE
    status: int = 200
    page: bytes = b""  # instead of the list of files
    checksum: str = ""  # instead of the right ones
    break_after: int = 0  # bytes of a download
    hold_after: int = 0  # bytes of a download
    prefix: str = ""
    login: str = ""  # user:password that it wants
    url: str = ""
    asked: list[str] = field(default_factory=list)
    downloads: list[str] = field(default_factory=list)
    carry_on: threading.Event = field(default_factory=threading.Event)

    def links(self) -> bytes:
        """The page of the package."""
        lines = []
        for name, content in self.files.items():
            digest = self.checksum or hashlib.sha256(content).hexdigest()
            lines.append(f'<a href="{self.prefix}/files/{name}#sha256={digest}">{name}</a>')
        return f"<!DOCTYPE html><html><body>{''.join(lines)}</body></html>".encode()


class Handler(BaseHTTPRequestHandler):
    """The simple API: a page of links, and files."""

    index: Index

    def do_GET(self) -> None:
        self.index.asked.append(self.path)
        path = urlsplit(self.path).path.removeprefix(self.index.prefix)
        if self.index.status != 200:
            self._answer(self.index.status, b"")
        elif self.index.login and self.headers.get("Authorization") != self._authorization():
            self._answer(401, b"")
        elif path == f"/simple/{self.index.package}/":
            self._answer(200, self.index.page or self.index.links(), "text/html")
        elif path.startswith("/files/"):
            self.index.downloads.append(path)
            self._send(self.index.files[path.removeprefix("/files/")])
        else:
            self._answer(404, b"")

    def _authorization(self) -> str:
        return "Basic " + base64.b64encode(self.index.login.encode()).decode()

    def _send(self, content: bytes) -> None:
        stop = self.index.break_after or self.index.hold_after or None
        self._answer(200, content, stop=stop)
        if self.index.hold_after:
            self.index.carry_on.wait(600)

    def _answer(
        self, status: int, body: bytes, kind: str = "application/zip", stop: int | None = None
    ) -> None:
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body[:stop])

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002
        """Say nothing: the test looks at ``asked``."""


@contextmanager
def serving(index: Index, monkeypatch: pytest.MonkeyPatch) -> Iterator[Index]:
    """Run the index until the block ends, as the only one that pip knows."""
    server = Server(("127.0.0.1", 0), type("IndexHandler", (Handler,), {"index": index}))
    login = f"{index.login}@" if index.login else ""
    index.url = f"http://{login}127.0.0.1:{server.server_port}{index.prefix}/simple/"
    use(monkeypatch, PIP_INDEX_URL=index.url)
    thread = threading.Thread(target=server.serve_forever, args=(0.05,))
    thread.start()
    try:
        yield index
    finally:
        index.carry_on.set()
        server.shutdown()
        server.server_close()
        thread.join()


def use(monkeypatch: pytest.MonkeyPatch, **settings: str) -> None:
    """Let pip know these settings and no others of this machine."""
    for name in [name for name in os.environ if name.startswith("PIP_")]:
        monkeypatch.delenv(name)
    quick = {"PIP_CONFIG_FILE": os.devnull, "PIP_RETRIES": "0", "PIP_NO_CACHE_DIR": "1"}
    for name, value in (quick | settings).items():
        monkeypatch.setenv(name, value)


def wheel_name(version: str = "1.0", package: str = PACKAGE) -> str:
    return f"{package.replace('-', '_')}-{version}-py3-none-any.whl"


def wheel(files: Mapping[str, bytes], version: str = "1.0", package: str = PACKAGE) -> bytes:
    """A wheel with these files."""
    about = f"{package.replace('-', '_')}-{version}.dist-info"
    every = {
        **files,
        f"{about}/METADATA": ABOUT.format(package, version).encode(),
        f"{about}/WHEEL": b"Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    }
    record = "".join(
        f"{name},{_digest(content)},{len(content)}\n" for name, content in every.items()
    )
    made = io.BytesIO()
    with ZipFile(made, "w", ZIP_DEFLATED) as archive:
        for name, content in every.items():
            archive.writestr(name, content)
        archive.writestr(f"{about}/RECORD", f"{record}{about}/RECORD,,\n")
    return made.getvalue()


def _digest(content: bytes) -> str:
    digest = base64.urlsafe_b64encode(hashlib.sha256(content).digest()).decode()
    return f"sha256={digest.rstrip('=')}"
