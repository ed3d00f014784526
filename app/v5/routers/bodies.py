"""Large bodies, read by ourselves: off the event loop, within bounds, as JSON or as a form.

The framework would hold a body three times over, and could not document two types of one body.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any, TypeVar, cast, get_args

from fastapi import Request
from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel, ValidationError
from starlette.requests import ClientDisconnect

from app.conversations.ask_with_images import ask_with_images
from app.conversations.turn import Turn
from app.dependencies import VisionServices
from app.errors import InvalidRequest
from app.media.given import Detail
from app.media.policy import MediaPolicy
from app.v5.models.chat import ChatRequest
from app.v5.services.translate import Question
from app.web.body_limit import Reading
from app.web.disconnect import unless_hangup
from app.web.errors import ClientGone, MediaTypeNotSupported
from app.web.multipart import FILE_FIELDS, Form, FormReader

T = TypeVar("T", bound=BaseModel)

JSON, FORM = "application/json", "multipart/form-data"

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
    }
)
"""Fields of a form that are taken as they are; the others are JSON."""

FORM_FIELDS = (
    "message",
    "images",
    "detail",
    "conversation_id",
    "parent_id",
    "model",
    "system",
    "template",
    "variables",
    "temperature",
    "top_p",
    "top_k",
    "min_p",
    "seed",
    "max_tokens",
    "overflow",
    "when_busy",
)
"""What the documentation of the form names, in this order."""


@asynccontextmanager
async def question(
    request: Request, reading: Reading, policy: MediaPolicy, *, forms: bool
) -> AsyncIterator[Question]:
    """The question in a body, which counts as being in memory until the end of the context.

    Raises RequestValidationError, InvalidRequest, MediaTypeNotSupported, UploadsBusy, ClientGone,
    TooManyImages, ImageTooLarge.
    """
    declared = request.headers.get("content-type", "")
    kind = declared.partition(";")[0].strip().lower()
    with reading.counted() as take:
        if kind == FORM and forms:
            reader = FormReader(declared, policy)
            async for chunk in _chunks(request):
                take(len(chunk))
                reader.write(chunk)
            yield _asked(reader.close())
        else:
            _require_json(kind, also=f" or as a form ({FORM})" if forms else "")
            yield Question(await _model(request, take, ChatRequest))


@asynccontextmanager
async def whole(request: Request, reading: Reading, model: type[T]) -> AsyncIterator[T]:
    """Any JSON body, likewise."""
    _require_json(request.headers.get("content-type", "").partition(";")[0].strip().lower())
    with reading.counted() as take:
        yield await _model(request, take, model)


def _require_json(kind: str, also: str = "") -> None:
    if kind != JSON:
        raise MediaTypeNotSupported(
            f"Send the body as JSON, with Content-Type: application/json{also}."
        )


async def _chunks(request: Request) -> AsyncIterator[bytes]:
    try:
        async for chunk in request.stream():
            yield chunk
    except ClientDisconnect as error:
        raise ClientGone("The client hung up.") from error


async def turn_of(
    request: Request, vision: VisionServices, owner: str, *, vision_only: bool = False
) -> Turn:
    """The turn that a body asks for; the client hanging up ends the work on its images.

    With ``vision_only`` the body may be a form, and only vision models are asked. Raises what
    ``question`` and ``ask_with_images`` raise.
    """
    async with question(request, vision.reading, vision.intake.policy, forms=vision_only) as asked:
        decode = asked.decoder(vision.intake)
        asking = ask_with_images(
            vision.conversations, owner, asked.request, decode, vision_only=vision_only
        )
        return await unless_hangup(request.receive, asking)


# ---------------------------------------------------------------- JSON


async def _model(request: Request, take: Any, model: type[T]) -> T:
    body = bytearray()
    async for chunk in _chunks(request):
        take(len(chunk))
        body += chunk
    return await asyncio.to_thread(_validated, model, body)


def _validated(model: type[T], body: bytearray | bytes) -> T:
    try:
        return model.model_validate_json(body)  # makes no other copy of a large body
    except ValidationError:
        return _as_framework(model, body)


def _as_framework(model: type[T], body: bytearray | bytes) -> T:
    """Read a body as the framework does for v1 to v4: also UTF-16 and UTF-32, with marks or not."""
    if not body:
        missing = {"type": "missing", "loc": ("body",), "msg": "Field required"}
        raise RequestValidationError([missing])
    try:
        return model.model_validate(json.loads(body), from_attributes=True)
    except ValidationError as error:
        found = error.errors(include_url=False, include_context=True, include_input=False)
        told = [{**one, "loc": ("body", *one["loc"])} for one in found]
        raise RequestValidationError(told) from error
    except json.JSONDecodeError as error:
        raise _not_json(error.pos, error.msg) from error
    except (ValueError, RecursionError) as error:  # v5 said 422 from the start, v1 to v4 say 400
        raise _not_json(0, "no text in Unicode, or too much in it") from error


def _not_json(place: int, reason: str) -> RequestValidationError:
    broken = {"type": "json_invalid", "loc": ("body", place), "msg": "", "ctx": {"error": reason}}
    return RequestValidationError([broken])


# ---------------------------------------------------------------- forms


def _asked(form: Form) -> Question:
    texts = {name: text for name, text in form.fields.items() if text or name == "message"}
    detail = texts.pop("detail", "auto")
    if detail not in get_args(Detail):
        raise InvalidRequest("/detail", f"must be one of {', '.join(get_args(Detail))}")
    if texts.keys() & FILE_FIELDS:
        raise InvalidRequest("/images", "takes files only; send JSON for anything else")
    values = {name: _value(name, text) for name, text in texts.items()}
    request = _validated(ChatRequest, json.dumps(values).encode())
    return Question(request, tuple(form.files), cast("Detail", detail))


def _value(name: str, text: str) -> object:
    if name in _TEXTS:
        return None if (name, text) == ("parent_id", "null") else text
    try:
        return json.loads(text)
    except ValueError:
        return text  # the field's own check says what it wants instead


# ---------------------------------------------------------------- documentation


def json_body(model: type[BaseModel], examples: Mapping[str, Any]) -> dict[str, Any]:
    """A body for ``openapi_extra``."""
    schema = {"$ref": f"#/components/schemas/{model.__name__}"}
    content = {JSON: {"schema": schema, "examples": examples}}
    return {"requestBody": {"required": True, "content": content}}


def either_body(examples: Mapping[str, Any]) -> dict[str, Any]:
    """The same, or a form with files; it comes first, so that Swagger UI shows its file button."""
    json_content = json_body(ChatRequest, examples)["requestBody"]["content"]
    content = {FORM: {"schema": _form_schema()}, **json_content}
    return {"requestBody": {"required": True, "content": content}}


def _form_schema() -> dict[str, Any]:
    known = ChatRequest.model_json_schema()["properties"]
    files = {
        "type": "array",
        "items": {"type": "string", "format": "binary", "example": ""},
        "description": "Files: JPEG, PNG, WebP, BMP or GIF. The field may also be called `files`.",
    }
    special = {
        "images": files,
        "detail": {
            "enum": [*get_args(Detail)],
            "type": "string",
            "description": "Of all files; `low`: scaled down to 512 pixels.",
            "example": "auto",
        },
        "variables": {
            "type": "string",
            "description": "Of the template: a JSON object.",
            "example": "",
        },
    }
    # Without examples Swagger UI makes up a value for every field, and sends them all.
    texts = {name: _plain(known[name]) | {"example": ""} for name in FORM_FIELDS if name in known}
    texts["message"]["example"] = "What is in the picture?"
    fields = {name: special.get(name) or texts[name] for name in FORM_FIELDS}
    return {
        "type": "object",
        "title": "ChatForm",
        "required": ["message"],
        "properties": fields,
    }


def _plain(schema: Mapping[str, Any]) -> dict[str, Any]:
    """A field that may be left out instead of being null, with nothing filled in beforehand."""
    kinds = [kind for kind in schema.get("anyOf", [schema]) if kind != {"type": "null"}]
    told = {**kinds[0], "description": schema.get("description", "")}
    return {key: value for key, value in told.items() if key not in {"default", "title"}}
