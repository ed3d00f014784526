"""How bodies are documented that routes read by themselves: as JSON, or as a form with files."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, get_args

from app.media.image_source import Detail
from app.v5.models.chat import ChatRequest
from app.web.large_bodies import FORM
from app.web.openapi import json_schema

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


def json_or_form_schema(
    examples: Mapping[str, Any],
    body: type[ChatRequest] = ChatRequest,
    fields: Sequence[str] = FORM_FIELDS,
) -> dict[str, Any]:
    """The same, or a form with files; it comes first, so that Swagger UI shows its file button."""
    json_content = json_schema(body, examples)["requestBody"]["content"]
    content = {FORM: {"schema": _form_schema(body, fields)}, **json_content}
    return {"requestBody": {"required": True, "content": content}}


def _form_schema(body: type[ChatRequest], names: Sequence[str]) -> dict[str, Any]:
    known = body.model_json_schema()["properties"]
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
    texts = {name: _plain(known[name]) | {"example": ""} for name in names if name in known}
    texts["message"]["example"] = "What is in the picture?"
    fields = {name: special.get(name) or texts[name] for name in names}
    return {
        "type": "object",
        "title": "ChatForm",
        "required": ["message"],
        "properties": fields,
    }


def _plain(schema: Mapping[str, Any]) -> dict[str, Any]:
    """A field that may be left out instead of being null, with nothing filled in beforehand."""
    kinds = [kind for kind in schema.get("anyOf", [schema]) if kind != {"type": "null"}]
    described = {**kinds[0], "description": schema.get("description", "")}
    return {key: value for key, value in described.items() if key not in {"default", "title"}}
