"""What the answer must match."""

from __future__ import annotations

import json
from typing import Annotated, Any, Literal, Self

from pydantic import BeforeValidator, Field, model_validator

from app.openai.models.base import Body, Inner
from app.web.schema import JsonObject, Plain

LONGEST_SOURCE = 64 * 1024
"""Characters of a regular expression or a grammar; engines bound schemas themselves."""

Source = Annotated[Plain, Field(min_length=1, max_length=LONGEST_SOURCE)]
Choices = Annotated[list[Source], Field(min_length=1, max_length=10_000)]


def _parsed(value: object) -> object:
    if not isinstance(value, str):
        return value
    try:
        return json.loads(value)
    except (ValueError, RecursionError):
        raise ValueError("must be a JSON Schema, as an object or as its text") from None


Schema = Annotated[
    JsonObject, BeforeValidator(_parsed, json_schema_input_type=dict[str, Any] | str)
]
"""A JSON Schema."""


class JsonSchemaFormat(Inner):
    """A JSON Schema. It is always enforced, `strict` or not."""

    name: Annotated[Plain, Field(max_length=256)] = ""
    description: Annotated[Plain, Field(max_length=LONGEST_SOURCE)] | None = None
    json_schema: JsonObject = Field(alias="schema")
    strict: bool | None = None


class ResponseFormat(Inner):
    """Free text, any JSON object, or JSON that matches a schema."""

    type: Literal["text", "json_object", "json_schema"]
    json_schema: JsonSchemaFormat | None = None
    object_schema: Schema | None = Field(
        None,
        alias="schema",
        description="Of a json_object: the same as json_schema, as some clients send it.",
    )

    @model_validator(mode="after")
    def _has_its_schema(self) -> Self:
        if self.type == "json_schema" and self.json_schema is None:
            raise ValueError("the type json_schema needs json_schema")
        return self


class StructuredOutputs(Inner):
    """What the answer must match; exactly one of these."""

    json_schema: Schema | None = Field(None, alias="json")
    regex: Source | None = None
    choice: Choices | None = None
    grammar: Source | None = Field(None, description="In the language of Lark.")
    json_object: Literal[True] | None = None

    @model_validator(mode="after")
    def _exactly_one(self) -> Self:
        if len([value for _, value in self if value is not None]) != 1:
            raise ValueError("give exactly one of json, regex, choice, grammar and json_object")
        return self


class ConstraintFields(Body):
    """What the answer must match; at most one of these."""

    response_format: ResponseFormat | None = None
    structured_outputs: StructuredOutputs | None = None
    guided_json: Schema | None = Field(
        None, description="Another name of `structured_outputs.json`."
    )
    guided_regex: Source | None = None
    guided_choice: Choices | None = None
    guided_grammar: Source | None = None
