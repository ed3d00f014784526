"""ETags: what a client says it knows of something that may have changed (RFC 9110, section 13)."""

from __future__ import annotations

from dataclasses import dataclass

from app.storage.errors import PreconditionFailed

WEAK = "W/"


@dataclass(frozen=True, slots=True)
class ETags:
    """What a client says it knows; ``known`` is None for ``*``: whatever there is."""

    known: frozenset[str] | None

    def require(self, etag: str | None) -> None:
        """If-Match: raises PreconditionFailed unless ``etag`` is among them.

        ``etag`` is None where nothing is there. A weak one never matches: whoever edits must have
        seen exactly what is there.
        """
        if etag is None or (self.known is not None and etag not in self.known):
            raise PreconditionFailed(etag)

    def include(self, etag: str) -> bool:
        """If-None-Match: whether the client has it already; a weak one will do."""
        return self.known is None or bool({etag, WEAK + etag} & self.known)
