"""OpenAPI: how errors and versions are described."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any, NamedTuple

from fastapi.openapi.utils import get_openapi
from fastapi.routing import APIRoute
from pydantic import BaseModel
from pydantic.json_schema import models_json_schema
from starlette.routing import BaseRoute

from app.web.error_codes import FRAMEWORK, TABLE
from app.web.problem_details import MEDIA_TYPE, TITLES, Problem

Responses = dict[int | str, dict[str, Any]]

COMMON_ERRORS = (401, 403, 421, 500)
CHAT_ERRORS = (400, 401, 403, 404, 409, 413, 415, 421, 422, 429, 500, 503)

DESCRIPTION = """\
Chat with small language models on your own machine. Every example below can be tried as it is.

* Unknown fields are refused (422), unknown models and addresses are 404: nothing is guessed.
* Every error is a problem object (RFC 9457) with a stable `code`; every answer has an
  `X-Request-ID`.
* When the server has API keys, send one: `Authorization: Bearer <key>` or `X-API-Key: <key>`.
* A version never changes once it is released: a newer one adds to it.
"""


class Style(NamedTuple):
    """What a document says of all routes: its introduction, and how errors look."""

    description: str
    error: type[BaseModel]


VERSIONS = Style(DESCRIPTION, Problem)

SECURITY = {
    "bearer": {"type": "http", "scheme": "bearer", "description": "One of API_KEYS."},
    "header": {"type": "apiKey", "in": "header", "name": "X-API-Key"},
}


def problems(*statuses: int, version: int = 1) -> Responses:
    """Document that a route of that API version may answer with these errors."""
    return {status: _problem(status, version) for status in statuses}


def _problem(status: int, version: int) -> dict[str, Any]:
    codes = [
        kind.code for kind in TABLE.values() if kind.status == status and kind.since <= version
    ]
    codes += [code for known, code in FRAMEWORK.items() if known == status]
    names = ", ".join(f"`{code}`" for code in dict.fromkeys(codes))
    schema = {"$ref": "#/components/schemas/Problem"}
    answer: dict[str, Any] = {
        "description": f"{TITLES[status]}: {names}",
        "content": {MEDIA_TYPE: {"schema": schema}},
    }
    if status in {429, 503}:
        retry = {"schema": {"type": "integer"}, "description": "Seconds to wait."}
        answer["headers"] = {"Retry-After": retry}
    return answer


def json_schema(model: type[BaseModel], examples: Mapping[str, Any]) -> dict[str, Any]:
    """A JSON body for ``openapi_extra``."""
    schema = {"$ref": f"#/components/schemas/{model.__name__}"}
    content = {"application/json": {"schema": schema, "examples": examples}}
    return {"requestBody": {"required": True, "content": content}}


def document(
    version: str,
    routes: Sequence[BaseRoute],
    schemas: Sequence[type[BaseModel]],
    bodies: Sequence[type[BaseModel]],
    style: Style = VERSIONS,
) -> dict[str, Any]:
    """Describe one API version, or a dialect of that name.

    ``schemas`` are models of answers that no route refers to by type, ``bodies`` such of requests.
    """
    described = get_openapi(
        title="FastAPI SLLM API",
        version=version,
        description=style.description,
        routes=[*routes, *map(_taking, bodies)],
    )
    for body in bodies:
        del described["paths"][_nowhere(body)]
    components = described.setdefault("components", {})
    components.setdefault("schemas", {}).update(_definitions({style.error, *schemas}))
    components["securitySchemes"] = SECURITY
    described["security"] = [{}, *({name: []} for name in SECURITY)]
    return described


def _nowhere(body: type[BaseModel]) -> str:
    return f"/{body.__name__}"


def _taking(body: type[BaseModel]) -> APIRoute:
    """A route that only the documentation sees, so that it names all schemas by one rule."""

    async def take(_: object) -> None: ...

    take.__annotations__["_"] = body
    return APIRoute(_nowhere(body), take, methods=["POST"])


def _definitions(models: Collection[type[BaseModel]]) -> dict[str, Any]:
    inputs = [
        (model, "serialization") for model in sorted(models, key=lambda model: model.__name__)
    ]
    _, found = models_json_schema(inputs, ref_template="#/components/schemas/{model}")  # type: ignore[arg-type]
    definitions: dict[str, Any] = found["$defs"]
    return definitions
