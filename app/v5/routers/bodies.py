"""Questions that come as JSON or as a form with files."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import TypeVar, cast, get_args

from fastapi import Request

from app.conversations.ask_with_images import ask_with_images
from app.conversations.turn import Turn
from app.dependencies import VisionServices
from app.errors import InvalidRequest
from app.media.image_source import Detail
from app.media.policy import MediaPolicy
from app.v5.services.translate import Question
from app.web.disconnect import unless_disconnected
from app.web.large_bodies import FORM, chunks, media_type, read_json, require_json, validated
from app.web.multipart import FILE_FIELDS, Form, FormReader
from app.web.upload_budget import upload_budget

Q = TypeVar("Q", bound=Question)

_TEXTS = frozenset(
    {
        "message",
        "system",
        "model",
        "template",
        "conversation_id",
        "parent_id",
        "overflow",
        "when_busy",
        "on_disconnect",
        "thinking",
    }
)
"""Fields of a form that are taken as they are; the others are JSON."""


@asynccontextmanager
async def question(
    request: Request, policy: MediaPolicy, *, forms: bool, kind: type[Q]
) -> AsyncIterator[Q]:
    """The question in a body, which counts as being in memory until the end of the context.

    ``kind`` is what it becomes: that of a later version has more fields. Raises
    RequestValidationError, InvalidRequest, MediaTypeNotSupported, UploadsBusy, ClientGone,
    TooManyImages, ImageTooLarge.
    """
    with upload_budget(request).reserve() as take:
        if forms and media_type(request) == FORM:
            yield _question(await _form(request, take, policy), kind)
        else:
            require_json(request, also=f" or as a form ({FORM})" if forms else "")
            yield kind(await read_json(request, take, kind.body_type))


async def turn_of(
    request: Request, vision: VisionServices, owner: str, *, vision_only: bool = False
) -> Turn:
    """The turn that a body asks for; the client hanging up ends the work on its images.

    With ``vision_only`` the body may be a form, and only vision models are asked. Raises what
    ``question`` and ``ask_with_images`` raise.
    """
    policy = vision.intake.policy
    async with question(request, policy, forms=vision_only, kind=Question) as asked:
        decode = asked.decoder(vision.intake)
        asking = ask_with_images(
            vision.conversations, owner, asked.request, decode, vision_only=vision_only
        )
        return await unless_disconnected(request.receive, asking)


# ---------------------------------------------------------------- forms


async def _form(request: Request, take: Callable[[int], None], policy: MediaPolicy) -> Form:
    reader = FormReader(request.headers["content-type"], policy)
    async for chunk in chunks(request):
        take(len(chunk))
        reader.write(chunk)
    return reader.close()


def _question(form: Form, kind: type[Q]) -> Q:
    texts = {name: text for name, text in form.fields.items() if text or name == "message"}
    detail = texts.pop("detail", "auto")
    if detail not in get_args(Detail):
        raise InvalidRequest("/detail", f"must be one of {', '.join(get_args(Detail))}")
    if texts.keys() & FILE_FIELDS:
        raise InvalidRequest("/images", "takes files only; send JSON for anything else")
    values = {name: _value(name, text) for name, text in texts.items()}
    return kind(validated(kind.body_type, values), tuple(form.files), cast("Detail", detail))


def _value(name: str, text: str) -> object:
    if name in _TEXTS:
        return None if (name, text) == ("parent_id", "null") else text
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return text  # the field's own check says what it wants instead
