"""HTTP/1.1 as h11 reads it, and stricter where it is lenient."""

from __future__ import annotations

import h11

TINY_CHUNKS = 20_000
"""Chunks of a body before their mean size matters."""

LEAST_CHUNK = 16
"""Bytes: each chunk costs as much time as a hundred times its content."""


_REQUEST_LINE = 2**10
"""Bytes of a head that are searched for the path."""


class Connection(h11.Connection):
    """A server's connection whose requests are within bounds, or ``fault`` says what is wrong."""

    def __init__(self, header_bytes: int) -> None:
        super().__init__(h11.SERVER, header_bytes)
        self.fault: h11.RemoteProtocolError | None = None
        self._header_bytes = header_bytes
        self._chunks = self._content = 0
        self._target = b""

    def next_event(self) -> h11.Event | type[h11.NEED_DATA] | type[h11.PAUSED]:
        """Read on; raises RemoteProtocolError, which is kept as ``fault``."""
        try:
            event = super().next_event()
            if isinstance(event, h11.Request):
                return self._checked(event)
            if isinstance(event, h11.Data):
                self._count(event)
        except h11.RemoteProtocolError as error:
            self.fault = error
            raise
        return event

    def _checked(self, request: h11.Request) -> h11.Request:
        """The request with a target that is a path; h11 bounds only a head that is incomplete."""
        self._chunks = self._content = 0
        self._target = request.target
        if _size(request) > self._header_bytes:
            raise h11.RemoteProtocolError("The headers are too large.", 431)
        if not request.http_version.startswith(b"1."):
            raise h11.RemoteProtocolError("This server speaks HTTP/1.1.", 505)
        names = {name for name, _ in request.headers}
        if b"transfer-encoding" in names and (
            b"content-length" in names or request.http_version == b"1.0"
        ):
            # A proxy in front may have taken the other one: RFC 9112, section 6.1.
            raise h11.RemoteProtocolError("The length of the body is ambiguous.")
        return _origin_form(request) if b"://" in request.target else request

    def path(self) -> str:
        """The path of the request that is at fault, as far as it is known; it may be empty."""
        begun, _ = self.trailing_data
        words = bytes(begun[:_REQUEST_LINE]).split(b" ", 2) if begun else [b"", self._target]
        return words[1].partition(b"?")[0].decode("latin-1") if len(words) > 1 else ""

    def _count(self, data: h11.Data) -> None:
        self._chunks += data.chunk_start
        self._content += len(data.data)
        if self._chunks > TINY_CHUNKS and self._content < LEAST_CHUNK * self._chunks:
            raise h11.RemoteProtocolError("The chunks of the body are too small.")


def _size(request: h11.Request) -> int:
    """Bytes of the request line and the headers, as they are usually written."""
    lines = sum(len(name) + len(value) + 4 for name, value in request.headers)
    return len(request.method) + len(request.target) + 12 + lines


def _origin_form(request: h11.Request) -> h11.Request:
    """What ``GET http://host/path`` means (RFC 9112, section 3.2.2); other targets stay."""
    scheme, _, rest = request.target.partition(b"://")
    if scheme.lower() not in {b"http", b"https"}:
        return request
    end = next((at for at, byte in enumerate(rest) if byte in b"/?"), len(rest))
    path = rest[end:] if rest[end : end + 1] == b"/" else b"/" + rest[end:]
    others = [field for field in request.headers.raw_items() if field[0].lower() != b"host"]
    return h11.Request(
        method=request.method,
        target=path,
        headers=[(b"host", rest[:end]), *others],
        http_version=request.http_version,
    )
