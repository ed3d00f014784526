"""Provider events as the server-sent events of v2 to v5.

The order, each event with an id that counts from 0:

    message   {id, model}               always first
    queued    {ahead}                   ┐
    loading   {percent}                 │ any number, where known
    prefill   {done, total}             ┘
    delta     {text}                    any number
    done      {finish_reason, usage}    ┐ exactly one of these two, and nothing after it
    error     the problem object        ┘

Later versions say more in ``message`` and ``done``. A stream that only loads a model has no
deltas, and its ``done`` describes the model.
"""

from __future__ import annotations

import itertools
import json
from collections.abc import Callable, Mapping
from typing import Any

from app.provider.types import Delta, End, Loaded, Progress
from app.v1.services.translate import finish_reason
from app.web.problem_details import problem
from app.web.sse import Shown, frame

Fields = Mapping[str, Any]


def plain_done(end: End) -> Fields:
    """What the ``done`` event says where nothing is stored."""
    return {"finish_reason": finish_reason(end.reason), "usage": end.usage.counts()}


class EventEncoder:
    """Writes one stream.

    ``message`` is what its first event says. ``done`` makes what its last event says, of the End
    or Loaded that ended the stream.
    """

    def __init__(self, message: Fields, done: Callable[[Any], Fields] = plain_done) -> None:
        self._message = message
        self._done = done
        self._ids = itertools.count()

    def start(self) -> str:
        """The ``message`` event."""
        return self._frame("message", self._message)

    def event(self, event: Shown) -> str:
        """The event of the same meaning; these versions show no thinking and no tool calls."""
        match event:
            case Delta(text=text):
                return self._frame("delta", {"text": text}) if text else ""
            case Progress():
                return self._frame(event.phase, _progress(event))
            case End() | Loaded():
                return self._frame("done", self._done(event))
            case _:
                return ""

    def error(self, error: Exception, request_id: str) -> str:
        """The ``error`` event."""
        return self._frame("error", problem(error, request_id).model_dump(exclude_none=True))

    def _frame(self, name: str, fields: Fields) -> str:
        data = json.dumps(fields, ensure_ascii=False, separators=(",", ":"))
        return frame(data, event=name, event_id=self._next_id())

    def _next_id(self) -> int | str:
        return next(self._ids)


def _progress(event: Progress) -> Fields:
    match event.phase:
        case "queued":
            return {"ahead": event.done}
        case "loading":
            return {"percent": event.done}
        case "prefill":
            return {"done": event.done, "total": event.total}
