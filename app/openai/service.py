"""What the routes for chats and vectors do, without HTTP: also for programs that need no server."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from app.chat.choices import Asked
from app.chat.images import decode_images
from app.chat.model_choice import choose_model
from app.encoding.encode import Encodings, encode
from app.encoding.images import find_and_decode
from app.media.intake import Intake
from app.openai.models.chat import ChatBody
from app.openai.models.embeddings import EmbeddingsBody
from app.openai.translate import embeddings
from app.openai.translate.answers import AnswerHead, new_head
from app.openai.translate.chat import chat_prompt
from app.openai.translate.messages import image_sources
from app.openai.translate.tools import chosen_tools
from app.provider.card import Kind
from app.provider.pool.pool import ModelPool
from app.templates.of_preset import FindTemplate

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class ModelServices:
    """The models, what takes images in, and what finds the templates of ``owner``."""

    pool: ModelPool
    intake: Intake
    find_template: FindTemplate
    owner: str


@dataclass(frozen=True, slots=True)
class AskedChat:
    """A chat that is ready to be answered, and what its answer will look like."""

    asked: Asked
    head: AnswerHead
    skipped: tuple[str, ...]
    """Types of the tools that are not run here."""


async def ask_chat(body: ChatBody, services: ModelServices) -> AskedChat:
    """Choose the model, then decode the images: a refused model costs no decoding."""
    tools = chosen_tools(body)
    sources = image_sources(body.messages)
    find = services.find_template
    model = await choose_model(services.pool, body.model, find, images=bool(sources))
    images = await decode_images(services.intake, model.card, sources)
    prompt = await chat_prompt(body, images, tools, model.template, services.owner)
    if tools.skipped:
        log.info("skipped tools of the types %s", ", ".join(map(repr, tools.skipped)))
    return AskedChat(
        Asked(model.card, (prompt,), body.n), new_head(model.name, "chatcmpl"), tools.skipped
    )


@dataclass(frozen=True, slots=True)
class Embedded:
    """Vectors, and what makes an answer of them."""

    found: Encodings
    fields: Callable[[], Mapping[str, Any]]


async def embed(body: EmbeddingsBody, services: ModelServices) -> Embedded:
    """Make a vector of each input."""
    pool, sources = services.pool, embeddings.image_sources(body)
    kind: Kind = "multimodal" if sources else "embedding"
    card, images = await find_and_decode(pool, services.intake, body.model, kind, sources)
    job = embeddings.embeddings_job(body, card, images, services.owner)
    found = await encode(pool, card, job)
    return Embedded(found, lambda: embeddings.embedding_list(card.id, found, body.encoding))
