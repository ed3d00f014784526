"""A tool: its arguments, as a flat JSON Schema, and what it does."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Annotated, Any, Generic, TypeVar

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from app.mcp.call import Call
from app.web.schema import LONGEST_TEXT, plain_text

Words = Annotated[str, AfterValidator(plain_text), Field(max_length=LONGEST_TEXT)]
ModelName = Annotated[str, AfterValidator(plain_text), Field(max_length=300)]


class Arguments(BaseModel):
    """What a tool takes: strings, numbers and lists of strings, nothing nested and nothing null.

    Hosts cut or refuse schemas with references and alternatives, so what may be left out has a
    default. Numbers may come as text, since small models write them so.
    """

    model_config = ConfigDict(extra="forbid", allow_inf_nan=False, frozen=True)


@dataclass(frozen=True, slots=True)
class ToolAnswer:
    """Texts for the model that called; ``data`` is the same for programs, where there is any."""

    texts: tuple[str, ...]
    data: Mapping[str, Any] | None = None


def json_answer(data: Mapping[str, Any]) -> ToolAnswer:
    """An answer for programs, which models read as JSON."""
    return ToolAnswer((json.dumps(data, ensure_ascii=False, separators=(",", ":")),), data)


A = TypeVar("A", bound=Arguments)


@dataclass(frozen=True, slots=True)
class Tool(Generic[A]):
    """One tool. ``run`` raises AppError and ProviderError."""

    name: str
    title: str
    description: str
    arguments: type[A]
    run: Callable[[Call, A], Awaitable[ToolAnswer]]

    def schema(self) -> dict[str, Any]:
        """The JSON Schema of the arguments."""
        described = self.arguments.model_json_schema()
        properties = {name: _shown(each) for name, each in described["properties"].items()}
        required = described.get("required", [])
        return {
            "type": "object",
            "properties": properties,
            "required": required,
            "additionalProperties": False,
        }


def _shown(schema: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in schema.items() if name != "title"}
