"""Models in this program: the catalogue, the memory ledger and the engine processes of a server.

Requests are those of the OpenAI dialect and take its way through the same code, without a socket
and without a database: nothing is stored, and prompt templates are the built-in ones.
"""

from __future__ import annotations

import os
import threading
from collections.abc import AsyncGenerator, Iterator, Mapping
from contextlib import aclosing, contextmanager
from functools import cached_property
from typing import Any

from fastapi.exceptions import RequestValidationError
from msgspec import json

from app.chat.choices import collect_choices, stream_choices
from app.client.backend import CHAT, EMBEDDINGS, Body
from app.client.errors import SLLMError, error_of
from app.client.loop_backend import LoopBackend
from app.client.sse import ChunkReader
from app.config import Settings, read
from app.errors import AppError
from app.lifespan.templates import built_in_templates
from app.media.intake import Intake
from app.openai.chat_stream import ChatEncoder
from app.openai.errors import body_of, status_of
from app.openai.models.chat import ChatBody
from app.openai.models.embeddings import EmbeddingsBody
from app.openai.service import AskedChat, ModelServices, ask_chat, embed
from app.openai.translate.answers import chat_completion
from app.openai.translate.chat import require_length
from app.provider.errors import ProviderError
from app.provider.pool.pool import ModelPool
from app.templates.library import TemplateLibrary
from app.templates.rendering import CompiledTemplate
from app.web.large_bodies import validated_json

OWNER = "in-process"
"""Whose conversations the engines keep."""


class InProcess(LoopBackend):
    """Answers without a server.

    ``close`` it to have the memory back. Engine processes end by themselves with the program,
    however that ends, as its end of their sockets closes. Raises InvalidSetting.
    """

    def __init__(self, settings: Settings | None = None) -> None:
        self.settings = settings or read()
        super().__init__()
        self._services = self.thread.run(self._start())
        self._whole = {CHAT: self._chat, EMBEDDINGS: self._embed}

    @property
    def pool(self) -> ModelPool:
        """The models. It belongs to the event loop of ``thread``."""
        return self._services.pool

    async def _start(self) -> ModelServices:
        pool, intake = ModelPool(self.settings.pool()), Intake(self.settings.media())
        return ModelServices(pool, intake, self._find_template, OWNER)

    async def _close(self) -> None:
        await self._services.intake.close()
        await self._services.pool.close()

    @cached_property
    def _templates(self) -> TemplateLibrary:
        return built_in_templates(self.settings)

    async def _find_template(self, name: str) -> CompiledTemplate:
        return self._templates.get(name)

    async def _answer(self, path: str, body: Body) -> dict[str, Any]:
        with _refusals():
            content = json.encode(await self._whole[path](json.encode(body)))
        answer: dict[str, Any] = json.decode(content)
        return answer

    async def _chat(self, content: bytes) -> Mapping[str, Any]:
        body, chat = await self._asked(content)
        answers = await collect_choices(self.pool, chat.asked)
        return chat_completion(chat.head, answers, logprobs=body.logprobs)

    async def _asked(self, content: bytes) -> tuple[ChatBody, AskedChat]:
        body = validated_json(ChatBody, content)
        require_length(body, self.settings.max_history_length)
        return body, await ask_chat(body, self._services)

    async def _embed(self, content: bytes) -> Mapping[str, Any]:
        answer = await embed(validated_json(EmbeddingsBody, content), self._services)
        return answer.fields()

    async def _chunks(self, path: str, body: Body) -> AsyncGenerator[dict[str, Any], None]:
        if path != CHAT:
            raise SLLMError(f"{path} has no stream.", 404)
        with _refusals():
            async with aclosing(self._chat_chunks(json.encode(body))) as chunks:
                async for chunk in chunks:
                    yield chunk

    async def _chat_chunks(self, content: bytes) -> AsyncGenerator[dict[str, Any], None]:
        body, chat = await self._asked(content)
        reader = ChunkReader()
        encoder = ChatEncoder(chat.head, body.stream_options, logprobs=body.logprobs)
        async with aclosing(stream_choices(self.pool, chat.asked)) as events:
            async for event in events:
                for line in encoder.event(event).splitlines():
                    if (chunk := reader.chunk(line)) is not None:
                        yield chunk
        reader.require_end()


@contextmanager
def _refusals() -> Iterator[None]:
    """Raise SLLMError for what the server would answer with an error."""
    try:
        yield
    except (AppError, ProviderError, RequestValidationError) as error:
        raise error_of(status_of(error), body_of(error, "")) from error


_lock = threading.Lock()
_shared: dict[int, InProcess] = {}
"""That of this process: a forked child has neither the thread nor the sockets of its parent."""


def shared() -> InProcess:
    """The one of this program, with the settings of the environment and ``.env``."""
    with _lock:
        found = _shared.get(os.getpid())
        if found is None:
            _shared.clear()
            found = _shared[os.getpid()] = InProcess()
        return found
