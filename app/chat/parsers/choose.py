"""Which parser reads the answers of a format."""

# ruff: noqa: RUF001 the bars of DeepSeek's tokens are full-width

from __future__ import annotations

import re
from collections.abc import Callable

from app.chat.parsers.braces_call import BracesCall
from app.chat.parsers.call_sections import CallSections, SectionMarks
from app.chat.parsers.harmony import HarmonyParser
from app.chat.parsers.hyperclovax import HyperClovaXParser
from app.chat.parsers.markup_call import GLM_TAGS, QWEN3_CODER_TAGS, MarkupCall
from app.chat.parsers.named_call import NamedCall
from app.chat.parsers.offered_tools import OfferedTools
from app.chat.parsers.pieces import CallReader, Parser, TextOnly
from app.chat.parsers.pythonic_call import PythonicCall
from app.chat.parsers.thought_channel import ThoughtChannel
from app.provider.formats.call_syntax import CallSyntax, OutputFormat
from app.provider.formats.output_formats import (
    DEEPSEEK_V3,
    DEEPSEEK_V31,
    EXAONE,
    FUNCTION_GEMMA,
    GEMMA4,
    GLM,
    HARMONY,
    HERMES,
    HYPERCLOVAX_THINK,
    LFM2,
    LLAMA3_JSON,
    MISTRAL_ARGS,
    MISTRAL_JSON,
    OLMO3,
    PHI4_MINI,
    PLAIN,
    PYTHONIC,
    QWEN3_CODER,
)

_TAG = re.compile(r"<[^<>]+>|\[[A-Z_]+\]|functools|```")
_MISTRAL_HEADER = re.compile(r"\s*([\w.\-]+)\s*(?:\[CALL_ID\]\s*\w*)?\s*(?:\[ARGS\])?\s*")
_DEEPSEEK_HEADER = re.compile(
    r"\s*(?:function\s*<｜tool▁sep｜>)?\s*([\w.\-]+)\s*(?:<｜tool▁sep｜>)?\s*(?:```json)?\s*"
)


def find_parser(known: OutputFormat, tools: OfferedTools) -> Parser:
    """The parser of a format's answers; calls are looked for if tools are offered."""
    if known == HARMONY:
        return HarmonyParser(tools)
    if known == HYPERCLOVAX_THINK:
        return HyperClovaXParser(tools)
    calls = _call_sections(known, tools) if tools.offered else TextOnly()
    return ThoughtChannel(calls) if known == GEMMA4 else calls


def _call_sections(known: OutputFormat, tools: OfferedTools) -> CallSections:
    table, further = _table_marks(known.calls), _FURTHER_MARKS.get(known.name, SectionMarks())
    marks = SectionMarks(
        table.openings + further.openings,
        further.call_openings,
        further.answer_openings,
        further.fences,
        table.closings + further.closings,
        further.separators,
        json=table.json or further.json,
    )
    return CallSections(tools, marks, _READERS.get(known.name))


def _table_marks(calls: CallSyntax) -> SectionMarks:
    """The tags that the table of formats names."""
    opens, closes = (calls.section_open, calls.call_open), (calls.call_close, calls.section_close)
    openings = [tags[0] for text in opens if (tags := _TAG.findall(text))]
    closings = [tag for text in closes for tag in _TAG.findall(text)]
    return SectionMarks(tuple(openings), closings=tuple(closings), json=calls.kind == "json")


def _mistral(tools: OfferedTools) -> CallReader:
    return NamedCall(tools, _MISTRAL_HEADER)


def _deepseek(tools: OfferedTools) -> CallReader:
    return NamedCall(tools, _DEEPSEEK_HEADER)


def _braces(known: OutputFormat) -> Callable[[OfferedTools], CallReader]:
    return lambda tools: BracesCall(tools, known.calls.quote)


_READERS: dict[str, Callable[[OfferedTools], CallReader]] = {
    QWEN3_CODER.name: lambda tools: MarkupCall(tools, QWEN3_CODER_TAGS),
    GLM.name: lambda tools: MarkupCall(tools, GLM_TAGS),
    PYTHONIC.name: PythonicCall,
    OLMO3.name: PythonicCall,
    LFM2.name: PythonicCall,
    MISTRAL_JSON.name: _mistral,
    MISTRAL_ARGS.name: _mistral,
    DEEPSEEK_V3.name: _deepseek,
    DEEPSEEK_V31.name: _deepseek,
    FUNCTION_GEMMA.name: _braces(FUNCTION_GEMMA),
    GEMMA4.name: _braces(GEMMA4),
}
"""What reads calls that are no JSON objects."""

_BARE_JSON = SectionMarks(answer_openings=("{",), fences=("```json", "```tool_call"))
"""Small models leave the tags away: an answer that begins as a call of an offered tool is one."""

_FURTHER_MARKS = {
    HERMES.name: _BARE_JSON,
    PLAIN.name: _BARE_JSON,
    EXAONE.name: _BARE_JSON,
    QWEN3_CODER.name: SectionMarks(call_openings=("<function=",)),
    LLAMA3_JSON.name: SectionMarks(("<|python_tag|>",), answer_openings=("{",), separators=(";",)),
    PYTHONIC.name: SectionMarks(
        ("<|python_start|>",),
        answer_openings=("[", "{"),
        closings=("<|python_end|>",),
        json=True,
    ),
    LFM2.name: SectionMarks(json=True),
    MISTRAL_ARGS.name: SectionMarks(json=True),
    PHI4_MINI.name: SectionMarks(("<|tool_call|>",), closings=("<|/tool_call|>",)),
}
"""What models write beside the table's spelling."""
