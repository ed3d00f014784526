"""What a grammar of tool calls lets through is what the parser of its format reads."""

from __future__ import annotations

import json
import random
from typing import Any

import jsonschema_rs
import numpy as np
import pytest
from msgspec import structs

from app.provider.engines.gguf.model import open_vocabulary
from app.provider.engines.gguf.tokenizer import LlamaTokenizer
from app.provider.formats.call_syntax import OutputFormat
from app.provider.formats.output_formats import HARMONY, OUTPUT_FORMATS
from app.provider.generation.constraints.answer_grammar import answer_grammar
from app.provider.generation.constraints.compiler import GrammarCompiler
from app.provider.generation.constraints.guide import AnswerGuide
from app.provider.types import Tool, ToolChoice
from tests.chat.parsing import parse, prompt
from tests.provider.scripted import CHATML, CONTROL, make
from tests.selection import matrix

WEATHER = {
    "type": "object",
    "properties": {
        "city": {"type": "string", "maxLength": 12},
        "days": {"type": "integer", "minimum": 1, "maximum": 14},
        "units": {"enum": ["metric", "imperial"]},
        "detailed": {"type": "boolean"},
    },
    "required": ["city", "days"],
}
SAVE = {
    "type": "object",
    "properties": {
        "text": {"type": "string", "minLength": 1, "maxLength": 9},
        "tags": {"type": "array", "items": {"type": "string", "maxLength": 5}, "maxItems": 2},
        "where": {"$ref": "#/$defs/place"},
        "size": {"anyOf": [{"type": "number", "minimum": 0, "maximum": 9}, {"type": "null"}]},
    },
    "required": ["text", "tags", "where", "size"],
    "$defs": {
        "place": {
            "type": "object",
            "properties": {
                "shelf": {"type": "integer", "minimum": 0, "maximum": 9},
                "cold": {"type": "boolean"},
            },
            "required": ["shelf"],
            "additionalProperties": False,
        }
    },
}
SCHEMAS: dict[str, dict[str, Any]] = {
    "weather": WEATHER,
    "save": SAVE,
    "now": {"type": "object", "properties": {}},
}
TOOLS = tuple(Tool(name, "", json.dumps(one), strict=True) for name, one in SCHEMAS.items())


@pytest.fixture(scope="module", params=OUTPUT_FORMATS, ids=lambda one: one.name)
def form(request: pytest.FixtureRequest) -> OutputFormat:
    found: OutputFormat = request.param
    return found


@pytest.fixture(scope="module", params=["control", *matrix("user")])
def vocabulary(
    request: pytest.FixtureRequest, form: OutputFormat, tmp_path_factory: pytest.TempPathFactory
) -> LlamaTokenizer:
    """One in which the markers are control tokens, and one in which they are not."""
    if form.channels and request.param == "user":
        pytest.skip("its markers are always control tokens")
    markers = sorted({*form.markers} - {*CONTROL})
    control = [*CONTROL, *markers] if request.param == "control" else CONTROL
    user = markers if request.param == "user" else ()
    path = tmp_path_factory.mktemp(form.name) / "model.gguf"
    return open_vocabulary(str(make(path, CHATML, ["a"], control=control, user=user, eos="</s>")))


@pytest.fixture(scope="module")
def compiler(vocabulary: LlamaTokenizer) -> GrammarCompiler:
    return GrammarCompiler(vocabulary.token_table)


def written(
    compiler: GrammarCompiler,
    vocabulary: LlamaTokenizer,
    form: OutputFormat,
    choice: ToolChoice,
    dice: random.Random,
) -> str:
    """A random answer."""
    asked = structs.replace(prompt(TOOLS), tool_choice=choice)
    found = answer_grammar(asked, form.name, compiler.table)
    matcher = compiler.find(found.grammar) or compiler.compile(found.grammar)
    answer = form.calls.opening.encode() if form is HARMONY else b""  # else it would think
    matcher.accept_text(answer)
    guide = AnswerGuide(
        text_of=lambda token: vocabulary.piece(token, keep_special=True) or b"", matcher=matcher
    )
    tokens = guide.start()
    for _ in range(2000):
        for token in tokens:
            piece = vocabulary.piece(token, keep_special=True)
            if piece is None:
                return answer.decode()
            answer += piece
        logits = np.zeros(vocabulary.size, np.float32)
        guide.restrict(logits)
        assert not guide.error, answer
        drawn = dice.choice(np.flatnonzero(np.isfinite(logits)).tolist())
        tokens = [drawn, *guide.accept(drawn)]
    raise AssertionError(answer)


@pytest.mark.parametrize("seed", [0, 3, *matrix(1, 2, *range(4, 40))])
def test_random_calls_are_read_and_match_their_schemas(
    compiler: GrammarCompiler, vocabulary: LlamaTokenizer, form: OutputFormat, seed: int
) -> None:
    dice = random.Random(seed)
    name = dice.choice(["", "weather", "save", "now"])
    choice = ToolChoice("required", name, parallel=dice.random() < 0.5)
    answer = written(compiler, vocabulary, form, choice, dice)
    parsed = parse(form.name, [answer], prompt(TOOLS, choice=choice))
    assert parsed.calls, answer
    for called, arguments in parsed.calls:
        assert called == name or not name
        assert jsonschema_rs.is_valid(SCHEMAS[called], json.loads(arguments)), (answer, arguments)
    assert len(parsed.calls) == 1 or choice.parallel
    assert not parsed.content.strip(), (answer, parsed.content)
