"""An answer that this process is making, as those see it who read along."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field

from app.chat.answer_content import AnswerContent
from app.provider.types import AnyDelta, Delta, End, Event, Progress, Started


class ChangeSignal:
    """Wakes everybody who waits for the next change."""

    def __init__(self) -> None:
        self._next: asyncio.Future[None] | None = None

    def notify(self) -> None:
        """Wake those who wait now."""
        if self._next:
            self._next.set_result(None)
            self._next = None

    async def wait(self) -> None:
        """Wait for the next change. A caller that looks and then waits misses none."""
        if self._next is None:
            self._next = asyncio.get_running_loop().create_future()
        await asyncio.shield(self._next)  # others wait for the same one


@dataclass
class LiveAnswer:
    """What has come of an answer so far; ``changed`` wakes its readers.

    ``ended``: nothing more comes, and how it ended has been stored, if the database took it.
    """

    content: AnswerContent = field(default_factory=AnswerContent)
    changed: ChangeSignal = field(default_factory=ChangeSignal)
    progress: Progress | None = None
    started: Started | None = None
    ended: bool = False

    def add(self, event: Event) -> Event:
        """Note an event of the answer; returns it as it is kept, without NUL."""
        if isinstance(event, Delta):  # PostgreSQL refuses NUL
            event = Delta(event.text.replace("\0", "\ufffd"), event.retracted, event.tokens)
        if isinstance(event, AnyDelta):
            self.content.add(event)
        elif isinstance(event, Progress):
            self.progress = event
        elif isinstance(event, Started):
            self.started = event
        elif isinstance(event, End):
            self.content.retracted = event.retracted
            if event.reason != "tool_calls":
                self.content.drop_calls()
        self.changed.notify()
        return event

    def end(self) -> None:
        """Say that nothing more comes."""
        self.ended = True
        self.changed.notify()
