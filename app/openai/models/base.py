"""The rules of the wire models, and fields that clients send although nothing comes of them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel, ConfigDict, model_validator

from app.openai.errors import InvalidParameter

HARMLESS = frozenset(
    {
        "cache_prompt",
        "keep_alive",
        "metadata",
        "prediction",
        "prompt_cache_key",
        "prompt_cache_options",
        "prompt_cache_retention",
        "safety_identifier",
        "service_tier",
        "store",
        "user",
        "verbosity",
    }
)
"""Fields of the SDKs that change no answer here: taken, whatever they hold, and ignored."""


_ABOUT = ("title", "description", "default")


def _describe_lenience(schema: dict[str, Any], body: type[Body]) -> None:
    """Say in a schema that fields may be null, and which are ignored."""
    required = schema.get("required", ())
    for name, field in schema["properties"].items():
        if name not in required and {"type": "null"} not in field.get("anyOf", ()):
            about = {key: field.pop(key) for key in _ABOUT if key in field}
            schema["properties"][name] = {"anyOf": [field, {"type": "null"}], **about}
    for name in sorted(body.harmless()):
        schema["properties"][name] = {"description": "Taken and ignored."}


class Inner(BaseModel):
    """A value inside a body: fields that are not known are ignored, as clients add their own."""

    model_config = ConfigDict(extra="ignore", strict=True, allow_inf_nan=False, frozen=True)


class Body(BaseModel):
    """A body: nothing that could change the answer is ignored, and null means left out."""

    model_config = ConfigDict(
        extra="forbid",
        strict=True,
        allow_inf_nan=False,
        frozen=True,
        json_schema_extra=_describe_lenience,
    )

    @model_validator(mode="before")
    @classmethod
    def _known(cls, data: Any) -> Any:
        if not isinstance(data, Mapping):
            return data
        sent = {name: value for name, value in data.items() if value is not None}
        for name in sent.keys() & cls.unsupported().keys():
            if sent[name] not in cls.neutral().get(name, ()):
                raise InvalidParameter(f"/{name}", cls.unsupported()[name])
        return {
            name: value
            for name, value in sent.items()
            if name not in cls.harmless() and name not in cls.unsupported()
        }

    @classmethod
    def harmless(cls) -> frozenset[str]:
        """Fields that are taken and ignored."""
        return HARMLESS

    @classmethod
    def unsupported(cls) -> Mapping[str, str]:
        """Fields that clients know and this server does not, each with the reason."""
        return {}

    @classmethod
    def neutral(cls) -> Mapping[str, tuple[Any, ...]]:
        """Values of such fields that ask for nothing."""
        return {}
