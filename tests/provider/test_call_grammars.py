"""What the grammar of a format lets a model write, its parser reads as valid calls."""

from __future__ import annotations

import json
import math
import random
import sys
from collections.abc import Iterator
from typing import Any

import jsonschema_rs
import numpy as np
import pytest

from app.provider.formats.call_syntax import OutputFormat
from app.provider.formats.output_formats import OUTPUT_FORMATS
from app.provider.generation.constraints.answer_grammar import answer_grammar
from app.provider.generation.constraints.compiler import GrammarCompiler
from app.provider.generation.constraints.token_table import TokenTable
from app.provider.types import Tool, ToolChoice
from tests.chat.parsing import parse, prompt

END = 256
LONGEST = 700
LIKELY = b'"}])>,\n|<'
"""Characters that end something: texts drawn at random would not end."""

SCHEMAS: dict[str, dict[str, Any]] = {
    "weather": {
        "type": "object",
        "properties": {
            "city": {"type": "string", "minLength": 1, "maxLength": 9},
            "days": {"type": "integer", "minimum": -3, "maximum": 12},
            "unit": {"enum": ["C", "F", 1]},
        },
        "required": ["city", "days"],
    },
    "now": {"type": "object", "properties": {}},
    "save": {
        "type": "object",
        "properties": {
            "name": {"$ref": "#/$defs/Name"},
            "draft": {"type": "boolean"},
            "size": {"type": "number"},
            "tags": {"type": "array", "items": {"type": "string", "maxLength": 5}, "maxItems": 3},
            "note": {"anyOf": [{"type": "string", "maxLength": 4}, {"type": "null"}]},
            "at": {
                "type": "object",
                "properties": {"x": {"type": "number"}, "y": {"type": ["integer", "null"]}},
                "required": ["x"],
            },
        },
        "required": ["name", "tags"],
        "$defs": {"Name": {"type": "string", "maxLength": 6}},
    },
}
TOOLS = tuple(Tool(name, "", json.dumps(schema)) for name, schema in SCHEMAS.items())


@pytest.fixture(scope="module")
def compiler() -> GrammarCompiler:
    """Compiles for a vocabulary of bytes."""
    table = TokenTable(
        [*(bytes([byte]) for byte in range(256)), b"<end>"],
        frozenset({END}),
        [END],
        lambda text: list(text.encode()),
    )
    return GrammarCompiler(lambda: table)


def answers(compiler: GrammarCompiler, known: OutputFormat, count: int) -> Iterator[str | None]:
    """Draw answers that have to be calls; None for one that got too long."""
    asked = prompt(TOOLS, choice=ToolChoice("required"))
    dice = random.Random(known.name)
    start = compiler.compile(answer_grammar(asked, known.name, compiler.table).grammar)
    for _ in range(count):
        matcher, written = start.copy(), b""
        while not matcher.finished and len(written) < LONGEST:
            allowed = np.flatnonzero(~matcher.forbidden()).tolist()
            likely = [token for token in allowed if token == END or token in LIKELY]
            plain = [token for token in allowed if token < 128]
            token = dice.choice(likely if likely and dice.random() < 0.4 else plain or allowed)
            if token == END:
                break
            matcher.accept(token)
            assert not matcher.error
            written += bytes([token])
        yield None if len(written) == LONGEST else written.decode()


def finite(text: str) -> float:
    """A number of JSON, which may have any exponent."""
    number = float(text)
    return number if math.isfinite(number) else math.copysign(sys.float_info.max, number)


@pytest.mark.parametrize("known", OUTPUT_FORMATS, ids=lambda known: known.name)
def test_what_the_grammar_writes_is_read(compiler: GrammarCompiler, known: OutputFormat) -> None:
    found = 0
    for text in answers(compiler, known, 12):
        if text is None:
            continue
        parsed = parse(known.name, [text], prompt(TOOLS))
        assert parsed.content == "", text
        assert parsed.calls, text
        for name, arguments in parsed.calls:
            value = json.loads(arguments, parse_float=finite)
            assert jsonschema_rs.is_valid(SCHEMAS[name], value), (text, arguments)
        found += 1
    assert found > 3
