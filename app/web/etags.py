"""ETags in the headers If-Match and If-None-Match (RFC 9110, section 13)."""

from __future__ import annotations

import re
from collections.abc import Sequence

from app.errors import InvalidRequest
from app.storage.etags import ETags

_TAG = r'(?:W/)?"[\x21\x23-\x7e\x80-\xff]*"'
_TAGS = re.compile(rf"[ \t,]*(?:{_TAG}(?:[ \t]*,[ \t,]*|[ \t]*\Z))*")
_EACH = re.compile(_TAG)


def parsed(header: str, lines: Sequence[str]) -> ETags | None:
    """Read a header that may have been sent in several lines, or in none; raises InvalidRequest."""
    if not lines:
        return None
    value = ",".join(lines)
    if value.strip(" \t") == "*":
        return ETags(None)
    if not _TAGS.fullmatch(value):
        detail = f'{header} must be * or ETags in double quotes, such as "3".'
        raise InvalidRequest(f"/header/{header}", detail)
    return ETags(frozenset(_EACH.findall(value)))
