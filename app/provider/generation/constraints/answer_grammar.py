"""The grammar of an answer: tool calls, the final text, and what a format puts before them."""

from __future__ import annotations

import json
from collections.abc import Collection
from dataclasses import dataclass

from app.provider.errors import UnsupportedConstraint
from app.provider.formats.call_syntax import OutputFormat
from app.provider.formats.output_formats import HARMONY, format_named
from app.provider.generation.constraints.grammar import Grammar, grammar_of, json_schema
from app.provider.generation.constraints.lark import LarkWriter
from app.provider.generation.constraints.narrow_schema import narrowed
from app.provider.generation.constraints.token_table import TokenTable
from app.provider.generation.constraints.tool_grammar import (
    EXACT,
    Bounds,
    ToolGrammar,
    arguments_schema,
    chosen,
)
from app.provider.types import Constraint, Prompt, Tool

_RESPONSE = "response"
_ANALYSIS = ("<|channel|>analysis<|message|>", "<|end|>", "<|start|>assistant")
_FINAL = "<|channel|>final<|message|>"


@dataclass(frozen=True, slots=True)
class AnswerGrammar:
    """A grammar; with ``openings`` it holds from one of these texts on, else from the start."""

    grammar: Grammar
    openings: tuple[bytes, ...] = ()
    at_start: bool = False


def is_constrained(prompt: Prompt) -> bool:
    """Whether the answer to a prompt has a grammar."""
    required = prompt.tool_choice.mode == "required"
    return bool(prompt.constraint or required or chosen(prompt.tools, prompt.tool_choice))


def answer_grammar(
    prompt: Prompt, output_format: str, table: TokenTable, bounds: Bounds = EXACT
) -> AnswerGrammar:
    """The grammar of an answer; raises UnsupportedConstraint.

    ``bounds`` name the tools whose schemas are not enforced as they are.
    """
    form, tools = format_named(output_format), chosen(prompt.tools, prompt.tool_choice)
    if prompt.tool_choice.mode == "required" and not tools:
        name = f" {prompt.tool_choice.name}" if prompt.tool_choice.name else " to call"
        raise UnsupportedConstraint(f"There is no tool{name}.")
    lark = LarkWriter(table)
    alternatives, openings = [], list[bytes]()
    if tools:
        bounds = Bounds(bounds.loose, bounds.free | _unchecked(tools))
        written = ToolGrammar(lark, form, bounds)
        alternatives.append(written.calls(tools, parallel=prompt.tool_choice.parallel))
        openings = written.openings(tools)
    required = prompt.tool_choice.mode == "required"
    if prompt.constraint and not required:
        alternatives.append(_response(lark, form, prompt.constraint))
    start = _after_analysis(lark, form, " | ".join(alternatives))
    grammar = _grammar(lark.source(start), None if required else prompt.constraint)
    if required or prompt.constraint:
        return AnswerGrammar(grammar)
    return AnswerGrammar(grammar, tuple(openings), form.calls.only_at_start)


def _unchecked(tools: Collection[Tool]) -> frozenset[str]:
    """Tools that are not strict and whose schema is beyond the caps."""
    found = set()
    for tool in tools:
        try:
            arguments_schema(tool)
        except UnsupportedConstraint:
            if tool.strict:
                raise
            found.add(tool.name)
    return frozenset(found)


def _response(lark: LarkWriter, form: OutputFormat, constraint: Constraint) -> str:
    """The rule of the final text."""
    before = lark.text(_FINAL) if form is HARMONY else ""
    if constraint.kind == "json_schema":
        return lark.rule(f"{before} {lark.json(narrowed(json_schema(constraint.source)))}".strip())
    return lark.rule(f"{before} @{_RESPONSE}".strip())


def _after_analysis(lark: LarkWriter, form: OutputFormat, start: str) -> str:
    """In harmony the model may think in a channel of its own first."""
    if form is not HARMONY:
        return start
    opening, closing, header = _ANALYSIS
    analysis = f"{lark.text(opening)} {lark.until(closing)} {lark.text(header)}"
    return f"({analysis})? ({start})"


def _grammar(source: str, constraint: Constraint | None) -> Grammar:
    """The grammar, with that of the final text beside it where it is no schema."""
    grammars = [{"lark_grammar": source}]
    name = "schema of the tools"
    if constraint and constraint.kind != "json_schema":
        inner = grammar_of(constraint)
        grammars.append({"name": _RESPONSE, **json.loads(inner.source)["grammars"][0]})
    if constraint:
        name = grammar_of(constraint).name
    return Grammar(json.dumps({"grammars": grammars}, ensure_ascii=False), name)
