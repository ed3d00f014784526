"""ETags in the headers If-Match and If-None-Match (RFC 9110, section 13)."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from app.errors import InvalidRequest
from app.storage.errors import PreconditionFailed

_TAG = r'(?:W/)?"[\x21\x23-\x7e\x80-\xff]*"'
_TAGS = re.compile(rf"[ \t,]*(?:{_TAG}(?:[ \t]*,[ \t,]*|[ \t]*\Z))*")
_EACH = re.compile(_TAG)

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


def parsed(header: str, lines: Sequence[str]) -> ETags | None:
    """Read a header that may have been sent in several lines, or in none; raises InvalidRequest."""
    if not lines:
        return None
    value = ",".join(lines)
    if value.strip(" \t") == "*":
        return ETags(None)
    if not _TAGS.fullmatch(value):
        told = f'{header} must be * or ETags in double quotes, such as "3".'
        raise InvalidRequest(f"/header/{header}", told)
    return ETags(frozenset(_EACH.findall(value)))
