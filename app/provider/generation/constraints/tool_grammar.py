"""Grammars of tool calls, as a model's family spells them."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from app.provider.errors import UnsupportedConstraint
from app.provider.formats.call_syntax import CallSyntax, OutputFormat
from app.provider.generation.constraints.grammar import json_schema
from app.provider.generation.constraints.lark import LarkWriter, one_of, quoted
from app.provider.generation.constraints.literal_values import LiteralValues, kinds_of, resolved
from app.provider.generation.constraints.narrow_schema import narrowed
from app.provider.types import Tool, ToolChoice

ANY_OBJECT: dict[str, Any] = {"type": "object"}
MOST_CALLS = 8
"""Calls in one answer: small models would repeat themselves without end."""

_PYTHON_TAG = "<|python_tag|>"


@dataclass(frozen=True, slots=True)
class Bounds:
    """Names of the tools whose schemas are not enforced as they are."""

    loose: frozenset[str] = frozenset()
    free: frozenset[str] = frozenset()


EXACT = Bounds()
"""All schemas are enforced."""


def chosen(tools: Sequence[Tool], choice: ToolChoice) -> tuple[Tool, ...]:
    """The tools that may be called."""
    if choice.mode == "none":
        return ()
    return tuple(tool for tool in tools if choice.name in {"", tool.name})


def arguments_schema(tool: Tool) -> dict[str, Any]:
    """The checked schema of a tool's arguments; raises UnsupportedConstraint."""
    schema = json_schema(tool.parameters or "{}")
    if schema.get("type", "object") != "object":
        raise UnsupportedConstraint(f"The parameters of the tool {tool.name} are no object.")
    return {"type": "object", **narrowed(schema)}


class ToolGrammar:
    """Writes the rule of calls in a format.

    Of the schemas of tools named in ``loose`` only those keywords are kept that can be enforced;
    tools named in ``free`` take any object.
    """

    def __init__(self, lark: LarkWriter, form: OutputFormat, bounds: Bounds = EXACT) -> None:
        self._lark = lark
        self._form = form
        self._syntax = form.calls
        self._bounds = bounds

    def calls(self, tools: Sequence[Tool], *, parallel: bool) -> str:
        """The rule of one call or more."""
        text, syntax = self._lark.text, self._syntax
        call = self._lark.rule(one_of([self._call(tool) for tool in tools]))
        several = parallel and not syntax.single
        more = f"({text(syntax.separator)} {call}){{0,{MOST_CALLS - 1}}}" if several else ""
        tag = f"{text(_PYTHON_TAG)}?" if self._has_python_tag() else ""
        parts = (tag, text(syntax.section_open), call, more, text(syntax.section_close))
        return self._lark.rule(" ".join(filter(None, parts)))

    def openings(self, tools: Sequence[Tool]) -> list[bytes]:
        """The texts that show that a call has begun."""
        syntax = self._syntax
        if not syntax.only_at_start:
            return [syntax.opening.rstrip().encode()]
        starts = [syntax.opening + self._start(syntax, tool.name) for tool in tools]
        tag = [_PYTHON_TAG] if self._has_python_tag() else []
        return [start.encode() for start in (*starts, *tag)]

    def _has_python_tag(self) -> bool:
        return _PYTHON_TAG in self._form.markers and self._lark.is_special(_PYTHON_TAG)

    @staticmethod
    def _start(syntax: CallSyntax, name: str) -> str:
        """A call up to its arguments."""
        if syntax.kind == "json":
            key, arguments = json.dumps(syntax.name_key), json.dumps(syntax.arguments_key)
            return f"{{{key}: {json.dumps(name)}, {arguments}: "
        if syntax.kind == "pythonic":
            return f"{name}("
        return name + syntax.after_name

    def _call(self, tool: Tool) -> str:
        text, syntax = self._lark.text, self._syntax
        schema = ANY_OBJECT if tool.name in self._bounds.free else arguments_schema(tool)
        loose = tool.name in self._bounds.loose
        parts = (
            text(syntax.call_open),
            text(self._start(syntax, tool.name)),
            self._arguments(schema, lenient=loose),
            text(syntax.call_close),
        )
        return self._lark.rule(" ".join(filter(None, parts)))

    def _arguments(self, schema: dict[str, Any], *, lenient: bool) -> str:
        match self._syntax.kind:
            case "json":
                return f'{self._lark.json(schema, lenient=lenient)} "}}"'
            case "named_json":
                return self._lark.json(schema, lenient=lenient)
            case "markup":
                return self._markup(schema)
            case "pythonic":
                return f'{self._keywords(schema)} ")"'
        return LiteralValues(self._lark, self._syntax, schema).value(_braced(schema))

    def _keywords(self, schema: dict[str, Any]) -> str:
        """``a=1, b="x"``."""
        values = LiteralValues(self._lark, self._syntax, schema)
        pairs = {
            key: f"{quoted(f'{key}=')} {values.value(one)}"
            for key, one in schema.get("properties", {}).items()
            if key.isidentifier()
        }
        if not pairs:
            return '""' if "properties" in schema else _free_keywords(self._lark, values)
        return values.members(pairs, schema.get("required", ()), '", "')

    def _markup(self, schema: dict[str, Any]) -> str:
        """Each argument between the family's tags; a string as it is, other values as JSON."""
        around = self._syntax.parameter
        assert around is not None  # noqa: S101 - the table has it for this kind
        required = schema.get("required", ())
        if "properties" not in schema:
            name = self._lark.rule("/[A-Za-z_][A-Za-z0-9_-]*/")
            before, middle = map(self._lark.text, (around.before_key, around.before_value))
            value = self._lark.until(around.after_value, _untagged({}))
            return f"({before} {name} {middle} {value})*"
        parts = [
            f"{self._lark.text(around.before_key + key + around.before_value)} "
            f"{self._raw_value(one, schema, around.after_value)}"
            for key, one in schema["properties"].items()
        ]
        keys = schema["properties"]
        optional = [
            part if key in required else f"({part})?" for key, part in zip(keys, parts, strict=True)
        ]
        return " ".join(optional)

    def _raw_value(self, schema: Any, root: dict[str, Any], closing: str) -> str:
        """A value up to and including what comes after it."""
        inside = resolved(schema, root)
        kinds = kinds_of(inside, root)
        end = self._lark.text(closing)
        values = inside.get("enum", [inside["const"]] if "const" in inside else [])
        if values:
            texts = [v if isinstance(v, str) else json.dumps(v, ensure_ascii=False) for v in values]
            return f"{one_of([quoted(text) for text in texts])} {end}"
        if kinds == {"string"} and inside.get("type") == "string":
            if "pattern" in inside or "format" in inside:
                raise UnsupportedConstraint(
                    "In this model's format of tool calls pattern and format cannot be enforced."
                )
            return self._lark.until(closing, _untagged(inside))
        if "string" in kinds:
            return self._lark.until(closing, _untagged({}))
        defined = {key: root[key] for key in ("$defs", "definitions") if key in root}
        return f"{self._lark.json({**inside, **defined})} {end}"


def _untagged(schema: Mapping[str, Any]) -> str:
    """Characters of a text without a closing tag; one whose length is bounded has no tag at all."""
    least, most = schema.get("minLength", 0), schema.get("maxLength")
    if most is None and not least:
        return r"([^<]|<[^\/])*"
    return f"[^<]{{{least},{'' if most is None else most}}}"


def _braced(schema: dict[str, Any]) -> dict[str, Any]:
    """The schema of a whole call's arguments, without what only its root has."""
    return {key: one for key, one in schema.items() if key not in {"$schema", "x-guidance"}}


def _free_keywords(lark: LarkWriter, values: LiteralValues) -> str:
    pair = lark.rule(f'/[A-Za-z_][A-Za-z0-9_]*/ "=" {values.value({})}')
    return lark.rule(f'"" | {pair} (", " {pair})*')
