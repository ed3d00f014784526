"""Which connections make room for others: those that wait for their client."""

from __future__ import annotations

from typing import Protocol


class Droppable(Protocol):
    """A connection that can be closed at once."""

    def drop(self) -> None:
        """Close it without an answer."""


class Waiting:
    """Connections that wait for their client, the one that has been silent longest first.

    A client that opens connections and sends nothing, or reads nothing, makes room with its own:
    requests that are being answered go on, and who is active is dropped last.
    """

    def __init__(self, most_bytes: int) -> None:
        self._most_bytes = most_bytes
        self._silent: dict[Droppable, None] = {}
        self._held: dict[Droppable, int] = {}
        self._bytes = 0

    def add(self, connection: Droppable, held: int) -> None:
        """Put it at the end, with so many bytes that are kept for it."""
        self.remove(connection)
        self._silent[connection] = None
        if held:
            self._held[connection] = held
            self._bytes += held
        while self._bytes > self._most_bytes:
            self._drop(next(iter(self._held)))

    def remove(self, connection: Droppable) -> None:
        """It is being answered, or closed."""
        self._silent.pop(connection, None)
        self._bytes -= self._held.pop(connection, 0)

    def drop_oldest(self) -> bool:
        """Close the one that has been silent longest; False if none waits."""
        if not self._silent:
            return False
        self._drop(next(iter(self._silent)))
        return True

    def _drop(self, connection: Droppable) -> None:
        self.remove(connection)
        connection.drop()
