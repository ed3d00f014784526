"""What one client of the model server has still to be sent, in bounds."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from msgspec.msgpack import Encoder

from app.provider.model_server.protocol import Notice, Outcome, Publication, Report
from app.provider.runtime import frames
from app.provider.runtime.outbox import join_deltas
from app.provider.types import Progress

MOST_HELD = 32 * 2**20
"""Bytes of outcomes that are kept for a client that does not read."""

_encoder = Encoder()


class OutgoingEvents:
    """Sends outcomes at the next turn of the event loop, those of one turn in one message.

    While the client reads slowly, they are kept, with neighbouring deltas joined, and only the
    newest progress of each job and the newest publication of each topic. ``overflow`` is called
    when too much is kept.
    """

    def __init__(self, send: Callable[[bytes], None], overflow: Callable[[], None]) -> None:
        self._send = send
        self._overflow = overflow
        self._outcomes: list[tuple[int, Outcome]] = []
        self._publications: dict[str, Publication] = {}
        self._scheduled = False
        self._slow = False
        self._held = 0

    def add(self, job: int, outcome: Outcome) -> None:
        """Send one outcome of a job, after those before it."""
        self._outcomes.append((job, outcome))
        if self._slow:
            self._hold(outcome)
        else:
            self._schedule()

    def publish(self, publication: Publication) -> None:
        """Send the news of a topic, before the outcomes that wait."""
        self._publications[publication.topic] = publication
        if not self._slow:
            self._schedule()

    def notify(self, notice: Notice) -> None:
        """Send a notice now; a client that reads slowly misses it."""
        if not self._slow:
            self._send(frames.encode(notice))

    def set_writable(self, writable: bool) -> None:
        """The client has become quick, or slow."""
        self._slow = not writable
        if writable:
            self._join()
            self._flush()

    def _join(self) -> None:
        newest = {job: at for at, (job, _) in enumerate(self._outcomes)}
        current = (
            (job, outcome)
            for at, (job, outcome) in enumerate(self._outcomes)
            if not isinstance(outcome, Progress) or newest[job] == at
        )
        self._outcomes = join_deltas(current)
        self._held = sum(_size(outcome) for _, outcome in self._outcomes)

    def forget(self, job: int) -> None:
        """Drop what was to be sent of a job that the client has cancelled."""
        if self._slow:
            self._outcomes = [pair for pair in self._outcomes if pair[0] != job]

    def _hold(self, outcome: Outcome) -> None:
        self._held += _size(outcome)
        if self._held > MOST_HELD:
            self._join()
            if self._held > MOST_HELD // 2:
                self._outcomes = []
                self._overflow()

    def _schedule(self) -> None:
        if not self._scheduled:
            self._scheduled = True
            asyncio.get_running_loop().call_soon(self._flush)

    def _flush(self) -> None:
        self._scheduled = False
        if self._slow:
            return
        publications, self._publications = self._publications, {}
        for publication in publications.values():
            self._send(frames.encode(publication))
        if self._outcomes and not self._slow:
            outcomes, self._outcomes, self._held = self._outcomes, [], 0
            self._send(frames.encode(Report(outcomes)))


def _size(outcome: Outcome) -> int:
    return len(_encoder.encode(outcome))
