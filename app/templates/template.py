"""A prompt template as the server uses it.

It is made of a JSON object whose shape has been checked (``app/v3/models/template.py``): when a
file was read, when a user sent it, or before it was stored.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from app.chat.request import SamplingOptions, Value

VariableType = Literal["string", "integer", "number", "boolean"]

TYPE_PHRASES: dict[VariableType, str] = {
    "string": "a string",
    "integer": "an integer",
    "number": "a number",
    "boolean": "true or false",
}
"""Each type as a phrase in error messages."""


def has_type(value: Value, declared: VariableType) -> bool:
    """Whether a value is of the declared type; in JSON 1.0 is an integer too."""
    if isinstance(value, bool) or declared == "boolean":
        return isinstance(value, bool) and declared == "boolean"
    if isinstance(value, str) or declared == "string":
        return isinstance(value, str) and declared == "string"
    return declared == "number" or isinstance(value, int) or value.is_integer()


@dataclass(frozen=True, slots=True)
class Variable:
    """A variable of a template. An optional one without a default renders as empty text."""

    type: VariableType
    required: bool = False
    default: Value | None = None


@dataclass(frozen=True, slots=True)
class Template:
    """Instructions for a model with variables, in a subset of Jinja.

    ``example`` holds the variables of the author's example, None if there is none. ``body`` is the
    JSON object itself, which is stored and shown to clients.
    """

    name: str
    system: str
    user: str | None = None
    variables: Mapping[str, Variable] = field(default_factory=dict)
    sampling: SamplingOptions = field(default_factory=SamplingOptions)
    example: Mapping[str, Value] | None = None
    body: dict[str, Any] = field(default_factory=dict, repr=False, compare=False)

    @classmethod
    def of(cls, body: dict[str, Any]) -> Template:
        """The template of a JSON object of the right shape."""
        example = body.get("example")
        return cls(
            name=body["name"],
            system=body["system"],
            user=body.get("user"),
            variables={name: _variable(each) for name, each in body.get("variables", {}).items()},
            sampling=_sampling(body.get("sampling") or {}),
            example=None if example is None else example.get("variables", {}),
            body=body,
        )


def _variable(body: Mapping[str, Any]) -> Variable:
    return Variable(body["type"], body.get("required", False), body.get("default"))


def _sampling(body: Mapping[str, Any]) -> SamplingOptions:
    stop = body.get("stop")
    return SamplingOptions(**{**body, "stop": None if stop is None else tuple(stop)})
