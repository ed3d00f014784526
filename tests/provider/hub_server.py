"""A small Hugging Face Hub: a repository, its files, and everything a network does to them."""

from __future__ import annotations

import hashlib
import json
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

REPO = "someone/a-model-GGUF"
COMMIT = "c" * 40


@dataclass
class Hub:
    """What the hub has, how it behaves, and what it was asked for."""

    files: dict[str, bytes]
    refusal: tuple[int, str] | None = None  # status and X-Error-Code
    gated_files: bool = False
    break_after: int = 0  # bytes of the first download
    stall_after: int = 0  # bytes of the first download
    announced_size: int = 0
    endpoint: str = ""
    downloads: list[tuple[str, str]] = field(default_factory=list)  # Range, Authorization
    carry_on: threading.Event = field(default_factory=threading.Event)

    def about(self) -> dict[str, object]:
        """The answer of the models API with ``blobs=true``."""
        siblings = [
            {
                "rfilename": name,
                "size": self.announced_size or len(content),
                "blobId": "b",
                "lfs": {
                    "size": self.announced_size or len(content),
                    "sha256": hashlib.sha256(content).hexdigest(),
                    "pointerSize": 100,
                },
            }
            for name, content in self.files.items()
        ]
        card = {"license": "apache-2.0"}
        return {"id": REPO, "sha": COMMIT, "siblings": siblings, "tags": [], "cardData": card}


class Handler(BaseHTTPRequestHandler):
    """The two endpoints that a download needs."""

    protocol_version = "HTTP/1.1"
    hub: Hub

    def do_GET(self) -> None:
        path = self.path.partition("?")[0]
        if self.hub.refusal:
            self._refuse(*self.hub.refusal)
        elif path == f"/api/models/{REPO}":
            self._answer(200, json.dumps(self.hub.about()).encode())
        elif path.startswith(f"/{REPO}/resolve/{COMMIT}/"):
            self._send_file(path.split("/", 5)[-1])
        else:
            self._refuse(404, "RepoNotFound")

    def _send_file(self, name: str) -> None:
        asked = self.headers.get("Range", "")
        first = not self.hub.downloads
        self.hub.downloads.append((asked, self.headers.get("Authorization", "")))
        if self.hub.gated_files:
            return self._refuse(403, "GatedRepo")
        content = self.hub.files[name]
        start = int(asked.removeprefix("bytes=").rstrip("-") or 0)
        size = {"Content-Range": f"bytes {start}-{len(content) - 1}/{len(content)}"}
        self._answer(206 if asked else 200, content[start:], size if asked else {}, first)
        return None

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
        self.wfile.write(body[: stop or None])
        if stop:
            self.close_connection = True
            if self.hub.stall_after:
                self.hub.carry_on.wait(30)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002
        """Say nothing: the test looks at ``downloads``."""


@contextmanager
def serving(hub: Hub) -> Iterator[Hub]:
    """Run the hub on a free port until the block ends."""
    handler = type("HubHandler", (Handler,), {"hub": hub})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    hub.endpoint = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, args=(0.05,))
    thread.start()
    try:
        yield hub
    finally:
        hub.carry_on.set()
        server.shutdown()
        server.server_close()
        thread.join()
