"""A small hub with two faces, Hugging Face and ModelScope, and everything a network does."""

from __future__ import annotations

import hashlib
import json
import sys
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, unquote, urlsplit

REPO = "someone/a-model-GGUF"
COMMIT = "c" * 40


@dataclass
class Hub:
    """What the hub has, how it behaves, and what it was asked for."""

    files: dict[str, bytes]
    commit: str = COMMIT
    refusal: tuple[int, str] | None = None  # status and X-Error-Code
    gated_files: bool = False
    break_after: int = 0  # bytes of the first download
    stall_after: int = 0  # bytes of the first download
    stall_listing: bool = False
    page: bytes = b""  # instead of every listing
    ignores_range: bool = False
    hold_after: int = 0  # bytes of every download, in whole megabytes
    pace: float = 0  # seconds per megabyte
    announced_size: int = 0
    in_git: tuple[str, ...] = ()  # files that are not in LFS
    cdn: str = ""  # where downloads are sent on to
    prefix: str = ""
    endpoint: str = ""
    asked: list[str] = field(default_factory=list)  # paths
    tokens: set[str] = field(default_factory=set)  # Authorization of every request
    downloads: list[tuple[str, str]] = field(default_factory=list)  # Range, Authorization
    cookies: list[str] = field(default_factory=list)
    carry_on: threading.Event = field(default_factory=threading.Event)

    def about(self) -> dict[str, object]:
        """The answer of Hugging Face's models API with ``blobs=true``."""
        siblings = [self._sibling(name, content) for name, content in self.files.items()]
        card = {"license": "apache-2.0"}
        return {"id": REPO, "sha": self.commit, "siblings": siblings, "tags": [], "cardData": card}

    def _sibling(self, name: str, content: bytes) -> dict[str, object]:
        size = self.announced_size or len(content)
        found: dict[str, object] = {"rfilename": name, "size": size, "blobId": git_id(content)}
        if name not in self.in_git:
            digest = hashlib.sha256(content).hexdigest()
            found["lfs"] = {"size": size, "sha256": digest, "pointerSize": 100}
        return found

    def listed(self) -> dict[str, object]:
        """The answer of ModelScope's ``repo/files``."""
        files: list[dict[str, object]] = [{"Path": "sub", "Type": "tree", "Size": 0}]
        files += [
            {
                "Path": name,
                "Type": "blob",
                "Size": self.announced_size or len(content),
                "Sha256": hashlib.sha256(content).hexdigest(),
                "IsLFS": name not in self.in_git,
                "Revision": self.commit,
            }
            for name, content in self.files.items()
        ]
        latest = {"Id": "", "ShortId": self.commit[:8]}
        return {"Code": 200, "Data": {"Files": files, "LatestCommitter": latest}, "Success": True}


def git_id(content: bytes) -> str:
    """What git calls a file with this content."""
    return hashlib.sha1(b"blob %d\0" % len(content) + content, usedforsecurity=False).hexdigest()


class Handler(BaseHTTPRequestHandler):
    """The endpoints that a download needs."""

    protocol_version = "HTTP/1.1"
    hub: Hub

    def do_GET(self) -> None:
        self.hub.asked.append(self.path)
        self.hub.tokens.add(self.headers.get("Authorization", ""))
        url = urlsplit(self.path)
        path, query = unquote(url.path).removeprefix(self.hub.prefix), parse_qs(url.query)
        if self.hub.refusal:
            self._refuse(*self.hub.refusal)
        elif not url.path.startswith(self.hub.prefix):
            self._refuse(404, "")
        elif path == f"/api/models/{REPO}":
            self._list(self.hub.about())
        elif path == f"/api/v1/models/{REPO}/repo/files":
            self._list(self.hub.listed())
        elif path == f"/api/v1/models/{REPO}":
            self._list({"Code": 200, "Data": {"License": "Apache License 2.0"}, "Success": True})
        elif path.startswith(f"/{REPO}/resolve/{self.hub.commit}/"):
            self._send_file(path.split("/", 5)[-1])
        elif path == f"/api/v1/models/{REPO}/repo" and query["Revision"] == [self.hub.commit]:
            self._send_file(query["FilePath"][0])
        else:
            self._refuse(404, "RepoNotFound")

    def _list(self, answer: object) -> None:
        if self.hub.stall_listing:
            self.hub.carry_on.wait(600)
        self._answer(200, self.hub.page or json.dumps(answer).encode())

    def _send_file(self, name: str) -> None:
        asked = self.headers.get("Range", "")
        first = not self.hub.downloads
        self.hub.downloads.append((asked, self.headers.get("Authorization", "")))
        self.hub.cookies.append(self.headers.get("Cookie", ""))
        if self.hub.gated_files:
            return self._refuse(403, "GatedRepo")
        if self.hub.cdn:
            return self._answer(302, b"", {"Location": self.hub.cdn + self.path})
        content = self.hub.files[name]
        if self.hub.ignores_range:
            asked = ""
        start = int(asked.removeprefix("bytes=").rstrip("-") or 0)
        size = {"Content-Range": f"bytes {start}-{len(content) - 1}/{len(content)}"}
        return self._answer(206 if asked else 200, content[start:], size if asked else {}, first)

    def _refuse(self, status: int, code: str) -> None:
        self._answer(status, b"{}", {"X-Error-Code": code})

    def _answer(
        self, status: int, body: bytes, headers: Mapping[str, str] = {}, first: bool = False
    ) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        stop = (self.hub.break_after or self.hub.stall_after) if first else 0
        self._write(body[: stop or None])
        if stop:
            self.close_connection = True
            if self.hub.stall_after:
                self.hub.carry_on.wait(600)

    def _write(self, body: bytes) -> None:
        try:
            for start in range(0, len(body), 2**20):
                if self.hub.hold_after and start >= self.hub.hold_after:
                    self.hub.carry_on.wait(600)
                self.wfile.write(body[start : start + 2**20])
                self.hub.carry_on.wait(self.hub.pace)
        except ConnectionError:
            self.close_connection = True  # the client was killed

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002
        """Say nothing: the test looks at ``downloads``."""


class Server(ThreadingHTTPServer):
    """One whose clients may be killed."""

    def handle_error(self, request: object, client_address: object) -> None:
        if not isinstance(sys.exception(), ConnectionError):
            super().handle_error(request, client_address)  # type: ignore[arg-type]


@contextmanager
def serving(hub: Hub) -> Iterator[Hub]:
    """Run the hub on a free port until the block ends."""
    handler = type("HubHandler", (Handler,), {"hub": hub})
    server = Server(("127.0.0.1", 0), handler)
    hub.endpoint = f"http://127.0.0.1:{server.server_port}{hub.prefix}"
    thread = threading.Thread(target=server.serve_forever, args=(0.05,))
    thread.start()
    try:
        yield hub
    finally:
        hub.carry_on.set()
        server.shutdown()
        server.server_close()
        thread.join()
