"""The model server: lends the models of one ``ModelHost`` to many API processes."""

from __future__ import annotations

import asyncio
import logging
import socket
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar, cast

import msgspec
from msgspec.msgpack import Decoder

from app.provider.engine import EngineLimits
from app.provider.errors import ProviderError
from app.provider.model_server.counters import EXCHANGE, CounterBook, Counters, Totals
from app.provider.model_server.protocol import (
    ERRORS,
    MEASURED,
    MODELS,
    PLAN,
    PRELOAD,
    UNLOAD,
    Call,
    Method,
    Notice,
    Outcome,
    Publication,
    Request,
    Result,
    Topic,
    packed,
)
from app.provider.model_server.session import ClientSession, session_factory
from app.provider.pool.eviction import AdmissionDecision
from app.provider.pool.model_host import HostSnapshot, ModelHost
from app.provider.pool.sizing import SizeEstimate
from app.provider.runtime.failures import ErrorTable, Failure, Kinds
from app.provider.types import Loaded, ModelRef

log = logging.getLogger(__name__)

A = TypeVar("A", bound="tuple[Any, ...]")
R = TypeVar("R")

SNAPSHOT_SECONDS = 1.0
"""How old the snapshot of a client may be."""
CHANGE_SECONDS = 0.1
"""How soon a change of a model's state is published."""
LINGER_SECONDS = 10.0
"""How long the server waits for new clients: a reloading API process takes seconds to return."""
LEAVE_SECONDS = 15.0
"""How long clients may stay when the owner has gone."""


class ModelServer:
    """Serves ``host`` to the connections of a listening socket, until nobody needs it any more.

    ``version`` is sent to clients, and ``errors`` are those of methods that are offered besides.
    """

    def __init__(
        self,
        host: ModelHost,
        version: str = "",
        errors: Kinds | None = None,
        linger: float = LINGER_SECONDS,
    ) -> None:
        self.host = host
        self.errors = ErrorTable({**ERRORS, **(errors or {})})
        self.version = version
        self._linger = linger
        self._sessions: set[ClientSession] = set()
        self._owned = False
        self._methods: dict[str, tuple[Decoder[Any], Callable[..., Awaitable[object]]]] = {}
        self._counters = CounterBook()
        self._publications: dict[str, Publication] = {}
        self._states: object = None
        self._ready: set[str] = set()
        self._ended = asyncio.Event()
        self._ending: asyncio.TimerHandle | None = None
        self._offer_own()

    # ---------------------------------------------------------------- serving

    async def serve(self, listener: socket.socket) -> None:
        """Serve until ``end`` is called, or nobody has needed the server for a while.

        Then nobody can connect any more, and all clients have been cut off.
        """
        accepting = await asyncio.get_running_loop().create_unix_server(
            session_factory(self), sock=listener
        )
        publishing = asyncio.create_task(self._publish_models())
        self._end_after(max(self._linger, LINGER_SECONDS))
        try:
            await self._ended.wait()
        finally:
            publishing.cancel()
            accepting.close()
            for session in self._sessions:
                session.connection.close()

    def end(self) -> None:
        """End soon."""
        self._ended.set()

    def _end_after(self, seconds: float) -> None:
        self._stay()
        self._ending = asyncio.get_running_loop().call_later(seconds, self.end)

    def _stay(self) -> None:
        if self._ending:
            self._ending.cancel()
            self._ending = None

    # ---------------------------------------------------------------- clients

    def joined(self, session: ClientSession) -> None:
        """Tell the new client what there is."""
        self._sessions.add(session)
        if session.hello and session.hello.owner:
            self._owned = True
        if self._has_owner or not self._owned:
            self._stay()
        self._publish(MODELS, self.host.snapshot(), {session})
        for publication in self._publications.values():
            session.publish(publication)

    @property
    def _has_owner(self) -> bool:
        return any(session.hello and session.hello.owner for session in self._sessions)

    def left(self, session: ClientSession) -> None:
        """Keep what the client has counted, and end where nobody is left."""
        if session not in self._sessions:
            return
        self._sessions.discard(session)
        if session.hello:
            self._counters.leave(session.hello.client)
        if self._owned and not self._has_owner:
            self._end_after(LEAVE_SECONDS if self._sessions else 0.0)
        elif not self._sessions:
            self._end_after(self._linger)

    def forward(self, sender: ClientSession, notice: Notice) -> None:
        """Pass a notice to the other clients."""
        for session in self._sessions - {sender}:
            session.notify(notice)

    # ---------------------------------------------------------------- methods

    def offer(self, method: Method[A, R], function: Callable[..., Awaitable[R]]) -> None:
        """Let clients call ``function`` as that method."""
        self._methods[method.name] = Decoder(method.arguments), function

    async def call(self, session: ClientSession, call: Call) -> object:
        """Call a method; raises what it raises."""
        if call.method == EXCHANGE.name:
            return self._exchange(session, call)
        if call.method not in self._methods:
            raise ProviderError(f"The model server has no method {call.method[:40]!r}.")
        decoder, function = self._methods[call.method]
        return await function(*_decoded(decoder, call))

    def _exchange(self, session: ClientSession, call: Call) -> Totals:
        figures, ended = cast(
            "tuple[Counters, dict[str, float]]", _decoded(Decoder(EXCHANGE.arguments), call)
        )
        assert session.hello  # noqa: S101 — nobody calls before
        return self._counters.report(session.hello.client, figures, ended)

    def _offer_own(self) -> None:
        self.offer(PRELOAD, self._preload)
        self.offer(UNLOAD, self.host.unload)
        self.offer(PLAN, self._plan)
        self.offer(MEASURED, self._measured)

    async def _preload(self, model: ModelRef, ttl: float | None) -> bool:
        await self.host.preload(model, ttl)
        return True

    async def _plan(
        self, model: ModelRef, limits: EngineLimits
    ) -> tuple[SizeEstimate, AdmissionDecision]:
        return await self.host.plan(model, limits)

    async def _measured(self) -> HostSnapshot:
        return await self.host.measured()

    # ---------------------------------------------------------------- publications

    def publish(self, topic: Topic[R], content: R) -> None:
        """Send the news of a topic to all clients, and later to new ones."""
        self._publications[topic.name] = Publication(topic.name, packed(content))
        for session in self._sessions:
            session.publish(self._publications[topic.name])

    def _publish(self, topic: Topic[R], content: R, sessions: set[ClientSession]) -> None:
        if sessions:
            publication = Publication(topic.name, packed(content))
            for session in sessions:
                session.publish(publication)

    def changed(self, request: Request, outcome: Outcome) -> None:
        """Publish the states of models, which the end of a job may have changed.

        Answers of a model that is ready change none, and there are many.
        """
        settled = isinstance(request, Call) or request.model.id in self._ready
        if isinstance(outcome, Failure | Loaded | Result) or not settled:
            self._publish_changes()

    def _publish_changes(self) -> None:
        snapshot = self.host.snapshot()
        if (states := _states(snapshot)) != self._states:
            self._states = states
            self._ready = {
                model for model, status in snapshot.statuses.items() if status.state == "ready"
            }
            self._publish(MODELS, snapshot, self._sessions)

    async def _publish_models(self) -> None:
        """Publish every second, and soon after each change."""
        loop = asyncio.get_running_loop()
        published = loop.time()
        while True:
            await asyncio.sleep(CHANGE_SECONDS)
            if loop.time() - published >= SNAPSHOT_SECONDS:
                published = loop.time()
                self._publish(MODELS, self.host.snapshot(), self._sessions)
            self._publish_changes()


def _states(snapshot: HostSnapshot) -> object:
    """What of a snapshot clients must know soon."""
    statuses = {
        model: (status.state, status.healthy, status.restarts, status.problem)
        for model, status in snapshot.statuses.items()
    }
    return statuses, dict(snapshot.refusals)


def _decoded(decoder: Decoder[Any], call: Call) -> Any:
    try:
        return decoder.decode(call.arguments)
    except msgspec.DecodeError as error:
        raise ProviderError(f"The arguments of {call.method} are none: {error}") from error
