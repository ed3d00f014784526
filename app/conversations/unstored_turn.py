"""A turn of which nothing is kept: made like a stored one, and read by the same readers."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass

from sqlalchemy.orm import Session

from app.conversations.context_window import require_vision
from app.conversations.heartbeat import RunningAnswer
from app.conversations.store.endings import TurnEnding
from app.conversations.store.tree import HistoryMessage
from app.conversations.store.truncation import WindowStart
from app.conversations.turn import Turn
from app.provider.types import Message


@dataclass
class UnstoredTurn(Turn):
    """``begin`` reads the stored branch that the messages follow, if there is one."""

    messages: Sequence[Message] = ()

    async def _store_beginning(self) -> tuple[list[HistoryMessage], WindowStart]:
        added = [HistoryMessage.of(message) for message in self.messages]
        if self.begin is nothing_before:
            history, start = list[HistoryMessage](), WindowStart()
        else:
            history, start = await self.services.database.read(self._open)
        require_vision(self.target, [*history, *added])
        return [*history, *added], start

    def _kept_alive(self, running: RunningAnswer) -> AbstractContextManager[None]:
        return nullcontext()

    async def _store_truncation(self, start: WindowStart) -> None:
        """The next request finds it again."""

    async def _store_end(self, ending: TurnEnding) -> bool:
        return True


def nothing_before(_: Session) -> list[HistoryMessage]:
    """The ``begin`` of messages that follow none."""
    return []
