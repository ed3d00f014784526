"""Grammars over a model's vocabulary: what is refused, what is forced, what can come out."""

from __future__ import annotations

import json
import random
from typing import Any

import numpy as np
import pytest

from app.provider.engines.gguf.model import open_vocabulary
from app.provider.engines.gguf.tokenizer import LlamaTokenizer
from app.provider.errors import UnsupportedConstraint
from app.provider.generation.constraints.compiler import MOST_KEPT, GrammarCompiler
from app.provider.generation.constraints.grammar import grammar_of
from app.provider.generation.constraints.guide import AnswerGuide, LogitBias
from app.provider.types import Constraint
from tests.provider.asking import STARTER

PERSON = {
    "type": "object",
    "properties": {
        "name": {"type": "string", "maxLength": 9},
        "age": {"type": "integer", "minimum": 0, "maximum": 120},
        "city": {"enum": ["Paris", "Seoul"]},
    },
    "required": ["name", "age", "city"],
    "additionalProperties": False,
}


@pytest.fixture(scope="module")
def vocabulary() -> LlamaTokenizer:
    return open_vocabulary(str(STARTER))


@pytest.fixture(scope="module")
def compiler(vocabulary: LlamaTokenizer) -> GrammarCompiler:
    return GrammarCompiler(vocabulary.token_table)


def schema(source: Any) -> Constraint:
    return Constraint("json_schema", json.dumps(source))


def guide_of(
    compiler: GrammarCompiler,
    vocabulary: LlamaTokenizer,
    given: Constraint,
    bias: LogitBias | None = None,
) -> AnswerGuide:
    matcher = compiler.compile(grammar_of(given))
    return AnswerGuide(
        text_of=lambda token: vocabulary.piece(token) or b"", matcher=matcher, bias=bias
    )


def written(compiler: GrammarCompiler, vocabulary: LlamaTokenizer, given: Constraint) -> str:
    """Draw tokens at random, as a guide allows them, until the answer ends."""
    dice = random.Random(given.source)
    guide = guide_of(compiler, vocabulary, given)
    answer = b""
    tokens = guide.start()
    for _ in range(500):
        for token in tokens:
            piece = vocabulary.piece(token)
            if piece is None:
                return answer.decode()
            answer += piece
        logits = np.zeros(vocabulary.size, np.float32)
        guide.restrict(logits)
        assert not guide.error
        drawn = dice.choice(np.flatnonzero(np.isfinite(logits)).tolist())
        tokens = [drawn, *guide.accept(drawn)]
    raise AssertionError(answer)


def test_a_random_answer_follows_its_schema(
    compiler: GrammarCompiler, vocabulary: LlamaTokenizer
) -> None:
    person = json.loads(written(compiler, vocabulary, schema(PERSON)))
    assert list(person) == ["name", "age", "city"]
    assert len(person["name"]) <= 9
    assert 0 <= person["age"] <= 120
    assert person["city"] in {"Paris", "Seoul"}


@pytest.mark.parametrize(
    ("kind", "source", "allowed"),
    [
        ("regex", "^(ab|c/d)\\n[0-9]$", {f"{a}\n{n}" for a in ("ab", "c/d") for n in range(10)}),
        ("regex", 'say "(yes|no)"', {'say "yes"', 'say "no"'}),
        ("lark", 'start: "one" | "two"', {"one", "two"}),
        ("json_schema", '{"const": {"a": [1, "</s>"]}}', {'{"a": [1, "</s>"]}'}),
    ],
)
def test_a_random_answer_is_one_of_the_allowed(
    compiler: GrammarCompiler, vocabulary: LlamaTokenizer, kind: Any, source: str, allowed: set[str]
) -> None:
    assert written(compiler, vocabulary, Constraint(kind, source)) in allowed


def test_forced_text_is_spelled_as_the_tokenizer_spells_it(
    compiler: GrammarCompiler, vocabulary: LlamaTokenizer
) -> None:
    guide = guide_of(compiler, vocabulary, schema({"const": "hello there"}))
    forced = guide.start()
    assert forced[:-1] == vocabulary.tokenize('"hello there"')
    assert vocabulary.piece(forced[-1]) is None


def test_a_mask_forbids_rows_that_no_token_has_and_wins_over_a_bias(
    compiler: GrammarCompiler, vocabulary: LlamaTokenizer
) -> None:
    zero, one = vocabulary.tokenize("0")[-1], vocabulary.tokenize("1")[-1]
    bias = LogitBias(((zero, 4.0), (one + 1, 100.0)))
    guide = guide_of(compiler, vocabulary, Constraint("regex", "[01]"), bias)
    logits = np.ones(vocabulary.size + 5, np.float32)
    guide.restrict(logits)
    assert {*np.flatnonzero(np.isfinite(logits))} == {zero, one}
    assert (logits[zero], logits[one]) == (5.0, 1.0)


@pytest.mark.parametrize(
    ("given", "words"),
    [
        (schema({"not": {"type": "string"}}), "not"),
        (schema({"type": "array", "uniqueItems": True}), "uniqueItems"),
        (schema({"type": "string", "format": "my-thing"}), "my-thing"),
        (schema({"x-guidance": {"lenient": True}, "type": "array", "contains": {}}), "contains"),
        (schema({"$ref": "https://example.org/x.json"}), "example.org"),
        (schema({"$ref": "#/$defs/a", "$defs": {"a": {"$ref": "#/$defs/a"}}}), "refers to itself"),
        (schema(False), "JSON object"),
        (schema({"enum": [0] * 10_001}), "10001 values"),
        (schema({"properties": {str(n): {} for n in range(1_001)}}), "1001 properties"),
        (schema({"const": "x" * 65_536}), "65536 bytes"),
        (Constraint("json_schema", '{"items":' * 64 + "{}" + "}" * 64), "64 levels"),
        (Constraint("json_schema", "[" * 60_000), "not valid JSON"),
        (Constraint("json_schema", "{"), "not valid JSON"),
        (Constraint("regex", "(?=.*[0-9])[a-z0-9]+"), "regular expression"),
        (Constraint("regex", "(a)\\1"), "regular expression"),
        (Constraint("lark", "start: nothing"), "grammar"),
    ],
)
def test_what_cannot_be_enforced_is_refused_by_its_name(
    compiler: GrammarCompiler, given: Constraint, words: str
) -> None:
    with pytest.raises(UnsupportedConstraint, match=words):
        compiler.compile(grammar_of(given))


def test_compiled_grammars_are_kept_as_far_as_there_is_room(compiler: GrammarCompiler) -> None:
    first = grammar_of(Constraint("regex", "first"))
    matcher = compiler.compile(first)
    found = compiler.find(first)
    assert found is not None
    assert found is not matcher
    for number in range(MOST_KEPT):
        compiler.compile(grammar_of(Constraint("regex", f"other {number}")))
    assert compiler.find(first) is None


@pytest.fixture
def runaway(compiler: GrammarCompiler, vocabulary: LlamaTokenizer) -> AnswerGuide:
    deep = {"type": "string", "pattern": "^((([a-z]{0,50}){0,50}){0,50})$"}
    return guide_of(compiler, vocabulary, schema(deep))


def test_a_matcher_that_breaks_down_is_an_error_and_no_hang(
    runaway: AnswerGuide, vocabulary: LlamaTokenizer
) -> None:
    dice = random.Random(2)
    for _ in range(200):
        logits = np.zeros(vocabulary.size, np.float32)
        runaway.restrict(logits)
        if runaway.error:
            break
        runaway.accept(dice.choice(np.flatnonzero(np.isfinite(logits)).tolist()))
    assert "cannot be kept" in runaway.error
