"""JSON bodies that may be large: those are read off the event loop, within the upload budget.

The framework would hold a body three times over, and could not document two types of one body.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import TypeVar

from fastapi import Request
from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel, ValidationError
from starlette.requests import ClientDisconnect

from app.web.errors import ClientGone, MediaTypeNotSupported
from app.web.upload_budget import upload_budget

T = TypeVar("T", bound=BaseModel)

SMALL_BODY = 2**14
"""Bytes that are read sooner than a thread could be asked to."""

JSON, FORM = "application/json", "multipart/form-data"


def media_type(request: Request) -> str:
    """What the body is declared as, without parameters."""
    return request.headers.get("content-type", "").partition(";")[0].strip().lower()


def require_json(request: Request, *, also: str = "") -> None:
    """Raise MediaTypeNotSupported if the body is not JSON; ``also`` names what else it may be."""
    if media_type(request) != JSON:
        raise MediaTypeNotSupported(
            f"Send the body as JSON, with Content-Type: application/json{also}."
        )


async def chunks(request: Request) -> AsyncIterator[bytes]:
    """The body as it comes in; raises ClientGone."""
    try:
        async for chunk in request.stream():
            yield chunk
    except ClientDisconnect as error:
        raise ClientGone("The client hung up.") from error


@asynccontextmanager
async def json_body(request: Request, model: type[T]) -> AsyncIterator[T]:
    """A JSON body, which counts as being in memory until the end of the context.

    Raises RequestValidationError, MediaTypeNotSupported, UploadsBusy, ClientGone.
    """
    require_json(request)
    with upload_budget(request).reserve() as take:
        yield await read_json(request, take, model)


async def read_body(request: Request, take: Callable[[int], None]) -> bytearray:
    """Read a whole body, each piece counted by ``take``; raises UploadsBusy, ClientGone."""
    body = bytearray()
    async for chunk in chunks(request):
        take(len(chunk))
        body += chunk
    return body


async def read_json(request: Request, take: Callable[[int], None], model: type[T]) -> T:
    """Read a JSON body, each piece counted by ``take``; raises the same."""
    body = await read_body(request, take)
    if len(body) <= SMALL_BODY:
        return validated_json(model, body)
    return await asyncio.to_thread(validated_json, model, body)


def validated(model: type[T], values: object) -> T:
    """A model of values that are parsed already; raises RequestValidationError."""
    try:
        return model.model_validate(values, from_attributes=True)
    except ValidationError as error:
        found = error.errors(include_url=False, include_context=True, include_input=False)
        mistakes = [{**one, "loc": ("body", *one["loc"])} for one in found]
        raise RequestValidationError(mistakes) from error


def validated_json(model: type[T], body: bytes | bytearray) -> T:
    """A model of JSON; raises RequestValidationError."""
    try:
        return model.model_validate_json(body)  # makes no other copy of a large body
    except ValidationError:
        return validated(model, _parsed(body))


def _parsed(body: bytes | bytearray) -> object:
    """Parse as the framework does for v1 to v4: also UTF-16 and UTF-32, with marks or not."""
    if not body:
        missing = {"type": "missing", "loc": ("body",), "msg": "Field required"}
        raise RequestValidationError([missing])
    try:
        return json.loads(body)
    except json.JSONDecodeError as error:
        raise _not_json(error.pos, error.msg) from error
    except (ValueError, RecursionError) as error:  # v5 has always used 422, v1 to v4 use 400
        raise _not_json(0, "no text in Unicode, or too much in it") from error


def _not_json(position: int, reason: str) -> RequestValidationError:
    where = ("body", position)
    broken = {"type": "json_invalid", "loc": where, "msg": "", "ctx": {"error": reason}}
    return RequestValidationError([broken])
