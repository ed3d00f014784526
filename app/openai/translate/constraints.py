"""What the answer must match."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from app.openai.errors import InvalidParameter
from app.openai.models.constraints import ConstraintFields, ResponseFormat, StructuredOutputs
from app.provider.types import Constraint

ANY_OBJECT = {"type": "object"}
"""A schema of any JSON object."""


def constraint(body: ConstraintFields) -> Constraint | None:
    """The constraint of a body; raises InvalidParameter for more than one."""
    found = dict(_constraints(body))
    if len(found) > 1:
        names = " and ".join(found)
        raise InvalidParameter(f"/{[*found][-1]}", f"Give one of {names}.", "invalid_value")
    return next(iter(found.values()), None)


def _constraints(body: ConstraintFields) -> Iterator[tuple[str, Constraint]]:
    """Field → what it asks for."""
    if body.response_format and (found := _of_format(body.response_format)):
        yield "response_format", found
    if body.structured_outputs:
        yield "structured_outputs", _of_outputs(body.structured_outputs)
    if body.guided_json is not None:
        yield "guided_json", json_schema(body.guided_json)
    if body.guided_regex is not None:
        yield "guided_regex", Constraint("regex", body.guided_regex)
    if body.guided_choice is not None:
        yield "guided_choice", one_of(body.guided_choice)
    if body.guided_grammar is not None:
        yield "guided_grammar", Constraint("lark", body.guided_grammar)


def _of_format(wanted: ResponseFormat) -> Constraint | None:
    if wanted.type == "text":
        return None
    if wanted.type == "json_schema" and wanted.json_schema:
        return json_schema(wanted.json_schema.json_schema)
    return json_schema(ANY_OBJECT if wanted.object_schema is None else wanted.object_schema)


def _of_outputs(wanted: StructuredOutputs) -> Constraint:
    if wanted.regex is not None:
        return Constraint("regex", wanted.regex)
    if wanted.grammar is not None:
        return Constraint("lark", wanted.grammar)
    if wanted.choice is not None:
        return one_of(wanted.choice)
    return json_schema(ANY_OBJECT if wanted.json_schema is None else wanted.json_schema)


def json_schema(schema: dict[str, Any]) -> Constraint:
    """An answer that matches a JSON Schema."""
    return Constraint("json_schema", json.dumps(schema, ensure_ascii=False))


def one_of(texts: list[str]) -> Constraint:
    """An answer that is one of these texts."""
    alternatives = " | ".join(json.dumps(text, ensure_ascii=False) for text in texts)
    return Constraint("lark", f"start: {alternatives}")
