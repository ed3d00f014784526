"""Waits for the beginning of a tool call in a free answer."""

from __future__ import annotations

from collections.abc import Sequence

from app.provider.generation.constraints.matcher import Matcher


class CallTrigger:
    """Gives the matcher of calls when one of the ``openings`` has been written.

    With ``at_start`` only the beginning of the answer counts. Text that begins like a call and goes
    on as none in the same token is no call.
    """

    def __init__(self, matcher: Matcher, openings: Sequence[bytes], *, at_start: bool) -> None:
        self._matcher = matcher
        self._openings = openings
        self._at_start = at_start
        self._longest = max(map(len, openings))
        self._text = b""
        self._over = False

    def accept(self, text: bytes) -> Matcher | None:
        """Go on after the text of a token; the matcher has read what was written of the call."""
        if self._over:
            return None
        self._text += text
        if self._at_start:
            self._text = self._text.lstrip()
        places = [(at, -len(one)) for one in self._openings if (at := self._text.find(one)) >= 0]
        begun = min(places)[0] if places else -1
        if begun == 0 or (begun > 0 and not self._at_start):
            return self._reading(self._text[begun:])
        if self._at_start:
            self._over = not any(one.startswith(self._text) for one in self._openings)
        else:
            self._text = self._text[-self._longest + 1 :] if self._longest > 1 else b""
        return None

    def _reading(self, written: bytes) -> Matcher | None:
        """A matcher that has read this beginning of a call; None if it is none."""
        matcher = self._matcher.copy()
        matcher.accept_text(written)
        if not matcher.error:
            return matcher
        self._over, self._text = self._at_start, b""
        return None
