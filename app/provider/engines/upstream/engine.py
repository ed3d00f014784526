"""Passes jobs on to another server, and what it answers back."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing
from dataclasses import replace

from msgspec import structs

from app.provider.engine import EngineInfo, EngineLimits, EngineSpec
from app.provider.engines.upstream.answer import AnswerReader
from app.provider.engines.upstream.chat_body import BodyWriter
from app.provider.engines.upstream.client import LONGEST_ANSWER, Client
from app.provider.engines.upstream.json_fields import Fields
from app.provider.engines.upstream.probe import Served, probe
from app.provider.engines.upstream.refusals import unavailable
from app.provider.engines.upstream.tokens import TokenCounter, estimated_tokens, most_tokens
from app.provider.errors import (
    ContextOverflow,
    EngineUnavailable,
    ModelNotLoadable,
    UnsupportedInput,
)
from app.provider.generation.prepared_prompt import require_room
from app.provider.remote import RemoteModel
from app.provider.types import Encode, Event, Job, Prompt, Size, Tokens

_CHAT = "/v1/chat/completions"
_COMPLETIONS = "/v1/completions"

Report = Callable[[int], None]

PROBE_SECONDS = 30.0
"""A server that lists its models answers at once, or hangs."""


class UpstreamEngine:
    """Implements ``AsyncEngine`` with a model of another server."""

    def __init__(self, remote: RemoteModel, served: Served, limits: EngineLimits) -> None:
        self._client = Client(remote)
        self._remote = remote
        self._max_tokens = limits.default_max_tokens
        self._lost = False
        self._take(served)
        chats = "chat" in remote.tasks
        self.info = EngineInfo(
            remote.slots or limits.slots,
            served.context_length,
            generates=chats,
            encodes=not chats,
            constrains=True,  # as far as the server does: it or its features refuse
        )

    def _take(self, served: Served) -> None:
        """Take what the server says of itself."""
        self._length = served.context_length
        self._features = served.features
        self._writer = BodyWriter(self._remote, served.model, served.features, self._max_tokens)
        self._counter = TokenCounter(self._client, self._writer)

    async def run(self, task: Job) -> AsyncGenerator[Event, None]:
        """Do a job; a server that failed may be another one now, and is asked again what it is."""
        if self._lost:
            self._take(await ask_server(self._remote))
            self._lost = False
        doing = self._encode(task) if isinstance(task, Encode) else self._generate(task)
        try:
            async with aclosing(doing) as events:
                async for event in events:
                    yield event
        except EngineUnavailable:
            self._lost = True
            raise

    async def count(self, prompt: Prompt) -> Size:
        """Count the tokens of a prompt, or estimate them where the server does not count."""
        return Size(await self._counter.count(prompt), prompt.context_of(self._length))

    async def tokenize(self, prompt: Prompt, *, special: bool) -> Tokens:
        """The tokens of a text; raises UnsupportedInput where the server does not show them."""
        return await self._counter.tokenize(prompt, special=special)

    async def wait_for_failure(self) -> str:
        """For ever: a server that cannot be reached fails requests, and may come back."""
        await asyncio.Event().wait()
        return ""

    async def close(self) -> None:
        """Close all connections."""
        await self._client.close()

    # ---------------------------------------------------------------- answers

    async def _generate(self, prompt: Prompt) -> AsyncGenerator[Event, None]:
        """Answer a prompt; once more with a shorter answer where only that did not fit."""
        prompt = await self._bounded(prompt)
        try:
            async with aclosing(self._answer(prompt)) as events:
                async for event in events:
                    yield event
        except ContextOverflow as error:
            shorter = self._shortened(prompt, error)
        else:
            return
        async with aclosing(self._answer(shorter)) as events:
            async for event in events:
                yield event

    async def _bounded(self, prompt: Prompt) -> Prompt:
        """The prompt with an answer for which its part of the context has room.

        Raises ContextOverflow, and UnsupportedInput where the server does not count tokens.
        """
        if not prompt.context_length:
            await self._require_room(prompt)
            return prompt
        if not self._counter.counts:
            raise UnsupportedInput(
                f"The server {self._remote.server} does not count tokens, so a preset's "
                "context_length cannot be kept."
            )
        tokens, length = await self._counter.count(prompt), prompt.context_of(self._length)
        require_room(tokens, max(1, prompt.answer_room), length)
        most = min(prompt.sampling.max_tokens or self._max_tokens, length - tokens)
        return _with_max_tokens(prompt, most)

    async def _require_room(self, prompt: Prompt) -> None:
        """Raise ContextOverflow where the answer would not have the room that was asked for."""
        if not (prompt.answer_room and self._counter.counts):
            return
        images = any(message.images for message in prompt.messages)
        if images or most_tokens(prompt) + prompt.answer_room > self._length:
            tokens = await self._counter.count(prompt)
            require_room(tokens, prompt.answer_room, self._length)

    def _shortened(self, prompt: Prompt, error: ContextOverflow) -> Prompt:
        """The prompt with an answer that fits; raises ContextOverflow where the prompt does not."""
        limit = error.limit or self._length
        room = limit - error.needed
        if error.needed and room > 0:
            return _with_max_tokens(prompt, room)
        raise ContextOverflow(max(error.needed or estimated_tokens(prompt), limit + 1), limit)

    async def _answer(self, prompt: Prompt) -> AsyncGenerator[Event, None]:
        reader = AnswerReader(
            self._remote.server,
            prompt,
            prompt.context_of(self._length),
            cached_when_absent=self._features.cached_when_absent,
        )
        path, body = self._request(prompt)
        if self._streams(prompt):
            async with aclosing(self._stream(reader, path, body)) as events:
                async for event in events:
                    yield event
        else:
            for event in reader.whole(await self._client.post(path, body, LONGEST_ANSWER)):
                yield event
        for event in reader.end():
            yield event

    async def _stream(
        self, reader: AnswerReader, path: str, body: Fields
    ) -> AsyncGenerator[Event, None]:
        """The events of a stream; one that overflows in mid-answer has broken off."""
        try:
            async with aclosing(self._client.events(path, self._writer.streamed(body))) as chunks:
                async for chunk in chunks:
                    for event in reader.chunk(chunk):
                        yield event
        except ContextOverflow as error:
            if not reader.started:
                raise
            why = str(error).rstrip(".")
            raise unavailable(self._remote.server, f"broke off its answer: {why}") from None

    def _request(self, prompt: Prompt) -> tuple[str, Fields]:
        """The path and the body; raises UnsupportedInput."""
        if prompt.raw is not None:
            return _COMPLETIONS, self._writer.completion(prompt, prompt.raw)
        return _CHAT, self._writer.chat(prompt)

    def _streams(self, prompt: Prompt) -> bool:
        calls = bool(prompt.tools) and prompt.tool_choice.mode != "none"
        return self._features.streaming and (self._features.stream_tools or not calls)

    # ---------------------------------------------------------------- vectors and scores

    async def _encode(self, job: Encode) -> AsyncGenerator[Event, None]:
        from app.provider.engines.upstream.encoding import Encoding  # noqa: PLC0415 — numpy

        encoding = Encoding(self._client, self._writer, self._length)
        async with aclosing(encoding.run(job)) as events:
            async for event in events:
                yield event


def _with_max_tokens(prompt: Prompt, most: int) -> Prompt:
    return structs.replace(prompt, sampling=structs.replace(prompt.sampling, max_tokens=most))


async def build(spec: EngineSpec, report: Report) -> UpstreamEngine:
    """Ask the server what it is; raises ModelNotLoadable, EngineUnavailable."""
    if spec.remote is None:
        raise ModelNotLoadable("No server is declared for this model.")
    return await connect(spec.remote, spec.limits, report)


async def connect(remote: RemoteModel, limits: EngineLimits, report: Report) -> UpstreamEngine:
    """An engine over a server that is up; also for engines that start one of their own."""
    report(100)
    return UpstreamEngine(remote, await ask_server(remote), limits)


async def ask_server(remote: RemoteModel) -> Served:
    """What the server says of itself and of the model; raises what ``probe`` raises."""
    client = Client(replace(remote, first_seconds=min(remote.first_seconds, PROBE_SECONDS)))
    try:
        return await probe(client, remote)
    finally:
        await client.close()
