"""What vLLM writes: warnings go to the log, and the last lines say why it has ended."""

from __future__ import annotations

import logging
import re
from collections import deque
from collections.abc import Iterable

from app.provider.errors import ModelNotLoadable

log = logging.getLogger(__name__)

_KEPT = 400
_LONGEST = 2000

_PREFIX = re.compile(
    r"\s*(?:\(\w+[^)]* pid=\d+\)\s*)?"
    r"(?:(?P<level>DEBUG|INFO|WARNING|ERROR|CRITICAL)"
    r"(?: \d\d-\d\d \d\d:\d\d:\d\d(?:\.\d+)? \[[^\]]*\]\s?|: {2,}))?"
)
"""``(EngineCore pid=7) ERROR 11-30 01:02:03 [core.py:700]`` or ``INFO:     `` before a line."""

_REASON = re.compile(
    r"(?:[A-Za-z_]\w*\.)*[A-Z]\w*(?:Error|Exception|Interrupt): (?P<error>.+)"
    r"|\s*Value error, (?P<value>.+?)(?: \[type=.*)?"
    r"|(?:[\w. ]+: )?error: (?P<usage>.+)"
)
_ELSEWHERE = re.compile(
    r"engine core initialization failed|root cause|validation errors? for|failed to start",
    re.IGNORECASE,
)
"""Errors that only say that there was another one before."""

_OF_MACHINE = re.compile(
    r"memory|cuda|nccl|gpu|device|driver|no space|permission|time[d ]*out|cannot be started|"
    r"address|unrecognized argument|No module named",
    re.IGNORECASE,
)
"""Reasons that may be gone although the model's files are the same."""

_PERCENT = re.compile(r"(?:loading|capturing)[^%]*?(\d{1,3})%", re.IGNORECASE)


class LogLines:
    """The last lines of a server, and how far it says that it has loaded, in percent."""

    def __init__(self) -> None:
        self._last: deque[str] = deque(maxlen=_KEPT)
        self.percent = 0

    def read(self, lines: Iterable[str]) -> None:
        """Take lines until there are no more."""
        for line in lines:
            self.add(line.rstrip()[:_LONGEST])

    def add(self, line: str) -> None:
        """Take one line."""
        prefix = _PREFIX.match(line)
        level = prefix["level"] if prefix else None
        text = line[prefix.end() :] if prefix else line
        if level in {"WARNING", "ERROR", "CRITICAL"}:
            log.warning("vLLM: %s", text)
        if found := _PERCENT.search(text):
            self.percent = max(self.percent, min(99, int(found[1])))
        if text and level not in {"DEBUG", "INFO"}:
            self._last.append(text)

    def reason(self) -> str:
        """The last error that says what is wrong; else the last line; empty where there is none."""
        return self._error() or (self._last[-1].strip() if self._last else "")

    def failure(self, code: int) -> ModelNotLoadable:
        """Why a server that ended with an exit code while loading did so.

        It is lasting where an error was found that is not one of the machine.
        """
        if not (reason := self.reason()):
            return ModelNotLoadable(f"vLLM ended with exit code {code} and said nothing.", False)
        lasting = bool(self._error()) and not _OF_MACHINE.search(reason)
        return ModelNotLoadable(f"vLLM cannot load it: {reason}", lasting)

    def _error(self) -> str:
        for text in reversed(self._last):
            found = _REASON.fullmatch(text)
            if found and not _ELSEWHERE.search(text):
                return str(next(filter(None, found.groups())))
        return ""
