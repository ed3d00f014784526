"""ETags of conditional requests (RFC 9110, section 13)."""

from __future__ import annotations

from dataclasses import dataclass

from app.storage.errors import PreconditionFailed

WEAK = "W/"


@dataclass(frozen=True, slots=True)
class ETags:
    """The ETags that a client sent; ``known`` is None for ``*``, which matches any."""

    known: frozenset[str] | None

    def require(self, etag: str | None) -> None:
        """If-Match: raises PreconditionFailed unless ``etag`` is among them.

        ``etag`` is None if the resource does not exist. A weak ETag never matches: an edit must be
        based on exactly the current version.
        """
        if etag is None or (self.known is not None and etag not in self.known):
            raise PreconditionFailed(etag)

    def include(self, etag: str) -> bool:
        """If-None-Match: whether the client has this version; weak ETags match too."""
        return self.known is None or bool({etag, WEAK + etag} & self.known)
