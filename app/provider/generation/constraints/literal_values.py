"""Grammars of values that are no JSON: Python literals, and texts without quotes.

Only a part of JSON Schema is known here. What is not raises UnsupportedConstraint.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from app.provider.errors import UnsupportedConstraint
from app.provider.formats.call_syntax import CallSyntax
from app.provider.generation.constraints.lark import LarkWriter, one_of, quoted

Schema = Mapping[str, Any]

_KNOWN = frozenset(
    {
        *("type", "properties", "required", "additionalProperties", "items"),
        *("minItems", "maxItems", "enum", "const", "anyOf", "oneOf", "$ref", "$defs"),
        *("minLength", "maxLength", "minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum"),
        *("multipleOf", "pattern", "format", "title", "description", "default", "examples"),
        *("deprecated", "definitions", "$schema", "$comment", "$id", "readOnly", "writeOnly"),
        *("x-guidance",),
    }
)
_NUMBERS = ("minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf")
_STRINGS = ("minLength", "maxLength", "pattern", "format")
_MOST_DEPTH = 16
_PYTHON = {"true": "True", "false": "False", "null": "None"}


class LiteralValues:
    """Writes the rules of values for calls with a ``syntax`` of the kinds pythonic and braces."""

    def __init__(self, lark: LarkWriter, syntax: CallSyntax, root: Schema) -> None:
        self._lark = lark
        self._python = syntax.kind == "pythonic"
        self._quote = syntax.quote
        self._root = root
        self._named: dict[str, str] = {}

    def value(self, schema: Any, depth: int = 0) -> str:
        """The rule of a value that matches a schema."""
        if schema is True or schema == {} or depth > _MOST_DEPTH:
            return self._any()
        if not isinstance(schema, dict) or (unknown := schema.keys() - _KNOWN):
            what = ", ".join(sorted(unknown)) if isinstance(schema, dict) else "false"
            raise UnsupportedConstraint(
                f"In this model's format of tool calls {what} cannot be enforced."
            )
        return self._lark.rule(one_of(self._choices(schema, depth + 1)))

    def _choices(self, schema: Schema, depth: int) -> list[str]:
        if "$ref" in schema:
            return [self._reference(str(schema["$ref"]), depth)]
        if "const" in schema:
            return [self.constant(schema["const"])]
        if "enum" in schema:
            return [self.constant(one) for one in schema["enum"]]
        options = schema.get("anyOf") or schema.get("oneOf")
        if options:
            return [self.value(one, depth) for one in options]
        kinds = schema.get("type") or _implied(schema)
        return [self._of_kind(kind, schema, depth) for kind in _listed(kinds)]

    def _reference(self, where: str, depth: int) -> str:
        """The rule of a definition, which may refer to itself."""
        if where not in self._named:
            self._named[where] = self._lark.new_name()
            found = self.value(_target(where, self._root), min(depth, 2))
            self._lark.named(self._named[where], found)
        return self._named[where]

    def _of_kind(self, kind: str, schema: Schema, depth: int) -> str:
        match kind:
            case "string":
                return self._string(schema)
            case "integer" | "number":
                return self._lark.json({"type": kind, **_part(schema, _NUMBERS)})
            case "boolean":
                return f"({self._word('true')} | {self._word('false')})"
            case "array":
                return self._array(schema, depth)
            case "object":
                return self._object(schema, depth)
        return self._word("null")

    def _word(self, word: str) -> str:
        return quoted(_PYTHON[word] if self._python else word)

    def _string(self, schema: Schema) -> str:
        if not self._quote:
            escapes = {"json_allowed_escapes": '"\\bfnrt'}  # what Python reads alike
            return self._lark.json({"type": "string", **_part(schema, _STRINGS)}, **escapes)
        least, most = schema.get("minLength", 0), schema.get("maxLength", "")
        if "pattern" in schema or "format" in schema:
            raise UnsupportedConstraint(
                "In this model's format of tool calls pattern and format cannot be enforced."
            )
        text = self._lark.until(self._quote, rf"(.|\n){{{least},{most}}}")
        return f"{self._lark.text(self._quote)} {text}"

    def constant(self, value: Any) -> str:
        """The terms of one value."""
        if isinstance(value, str) and self._quote:
            return self._lark.text(f"{self._quote}{value}{self._quote}")
        if isinstance(value, dict):
            pairs = ", ".join(f"{self._key(k)}{self._plain(v)}" for k, v in value.items())
            return self._lark.text(f"{{{pairs}}}")
        return self._lark.text(self._plain(value))

    def _plain(self, value: Any) -> str:
        if isinstance(value, bool) or value is None:
            word = json.dumps(value)
            return _PYTHON[word] if self._python else word
        if isinstance(value, list):
            return f"[{(', ' if self._python else ',').join(map(self._plain, value))}]"
        if isinstance(value, str) and self._quote:
            return f"{self._quote}{value}{self._quote}"
        return json.dumps(value, ensure_ascii=False)

    def _key(self, key: str) -> str:
        return f"{json.dumps(key, ensure_ascii=False)}: " if self._python else f"{key}:"

    @property
    def _comma(self) -> str:
        return '", "' if self._python else '","'

    def _array(self, schema: Schema, depth: int) -> str:
        item = self.value(schema.get("items", {}), depth)
        least, most = schema.get("minItems", 0), schema.get("maxItems")
        if most == 0:
            return '"[]"'
        more = f"({self._comma} {item}){{{max(0, least - 1)},{'' if most is None else most - 1}}}"
        filled = f'"[" {item} {more} "]"'
        return filled if least else f'("[]" | {filled})'

    def _object(self, schema: Schema, depth: int) -> str:
        properties = schema.get("properties") or {}
        if not properties:
            return self._free_object(depth) if schema.get("additionalProperties", True) else '"{}"'
        rules = {key: self._lark.text(self._key(key)) for key in properties}
        pairs = {key: f"{rules[key]} {self.value(properties[key], depth)}" for key in properties}
        return f'"{{" {self.members(pairs, schema.get("required", ()), self._comma)} "}}"'

    def members(self, pairs: Mapping[str, str], required: Any, separator: str) -> str:
        """Members in their order, each with its rule; those that are not required may be missing.

        The separator stands between two of them: ``rest`` follows one that is there.
        """
        first = rest = '""'
        for key, pair in reversed(list(pairs.items())):
            start, there = f"{pair} {rest}", f"{separator} {pair} {rest}"
            if key not in required:
                start, there = f"{start} | {first}", f"{there} | {rest}"
            first, rest = self._lark.rule(start), self._lark.rule(there)
        return first

    def _free_object(self, depth: int) -> str:
        if self._python:
            return self._lark.json({"type": "object"})
        member = self._lark.rule(f'/[A-Za-z_][A-Za-z0-9_]*/ ":" {self.value({}, depth + 4)}')
        return f'("{{}}" | "{{" {member} ("," {member})* "}}")'

    def _any(self) -> str:
        text = self._string({})
        plain = self._lark.json({"type": ["number"]})
        words = " | ".join(self._word(word) for word in ("true", "false", "null"))
        return self._lark.rule(f"{text} | {plain} | {words}")


def _part(schema: Schema, keys: tuple[str, ...]) -> dict[str, Any]:
    return {key: schema[key] for key in keys if key in schema}


def _listed(kinds: Any) -> list[str]:
    return list(kinds) if isinstance(kinds, list | tuple) else [str(kinds)]


def _implied(schema: Schema) -> list[str]:
    if "properties" in schema or "required" in schema:
        return ["object"]
    if "items" in schema:
        return ["array"]
    return ["string", "number", "boolean", "null"]


def _target(where: str, root: Schema) -> Any:
    """What a reference within a schema refers to."""
    found: Any = root if where.startswith("#/") else None
    for step in where.removeprefix("#/").split("/"):
        found = found.get(step) if isinstance(found, dict) else None
    if found is None:
        raise UnsupportedConstraint(f"The reference {where} leads nowhere.")
    return found


def resolved(schema: Any, root: Schema) -> dict[str, Any]:
    """A schema as an object, with what it refers to."""
    for _ in range(_MOST_DEPTH):
        if not isinstance(schema, dict) or "$ref" not in schema:
            break
        schema = _target(str(schema["$ref"]), root)
    return schema if isinstance(schema, dict) else {}


def kinds_of(schema: Schema, root: Schema) -> set[str]:
    """The types that a value can have by its schema."""
    options = schema.get("anyOf") or schema.get("oneOf")
    if options:
        return set().union(*(kinds_of(resolved(one, root), root) for one in options))
    return {*_listed(schema.get("type") or _implied(schema))}
