"""The reader of strangers' JSON reads what the library reads, and nothing else."""

from __future__ import annotations

import json
import random
from typing import Any

import pytest

from app.provider.headers.json_reader import read_object

ATOMS: list[Any] = [
    *(None, True, False, 0, -1, 1.5e-7, 2**70, float("inf"), "", "x" * 50, "안녕 😀", "\ud800"),
    *('a"b\\c', "\\", "\n\t\u2028", "}", "]", "{", "[", ",", ":", [], {}, [[]], {"": {}}),
]

PIECES = [b"", b",", b"}", b'"', b"\\", b"\xff", b"0", b"\x01", b"]", b" "]


def value(chance: random.Random, depth: int) -> Any:
    if depth and chance.random() < 0.6:
        inner = [value(chance, depth - 1) for _ in range(chance.randrange(5))]
        return {chance.choice('abc}\\"é') * i: one for i, one in enumerate(inner)} or inner
    return chance.choice(ATOMS)


def library(content: bytes) -> dict[str, Any] | None:
    try:
        found = json.loads(content.decode())
    except ValueError:
        return None
    return found if isinstance(found, dict) else None


def ours(content: bytes) -> dict[str, Any] | None:
    try:
        return read_object(content)
    except ValueError:
        return None


def test_it_reads_what_the_library_reads() -> None:
    chance = random.Random(3)
    refused = 0
    for turn in range(6000):
        object_ = {"a": value(chance, 5), "b": value(chance, 2)}
        indent = chance.choice([None, 0, 1])
        text = json.dumps(object_, indent=indent, ensure_ascii=chance.random() < 0.5)
        content = bytearray(text.encode("utf-8", "replace"))
        for _ in range(turn % 3):
            at = chance.randrange(len(content))
            piece = chance.choice(PIECES)
            content[at : at + chance.randrange(2)] = piece
        expected = library(bytes(content))
        assert repr(ours(bytes(content))) == repr(expected), bytes(content)
        refused += expected is None
    assert 1000 < refused < 5000


@pytest.mark.parametrize(
    "content",
    [
        b'{"a": 1',
        b'{"a" 1}',
        b'{"a": 1,}',
        b'{"a": [1,]}',
        b'{"a": "x}',
        b'{"a": 1}}',
        b'{"a": 01}',
        b'{"a": -}',
        b'{"a": +1}',
        b'{"a": nul}',
        b'{"a": "\\x"}',
        b'{"a": "\\ud8"}',
        b"{'a': 1}",
        b'{"a": ' + b"[" * 2000 + b"]" * 2000 + b"}",
    ],
    ids=range(14),
)
def test_what_is_no_json_is_refused(content: bytes) -> None:
    with pytest.raises(ValueError):  # noqa: PT011
        read_object(content)


def test_a_text_of_megabytes_is_refused() -> None:
    for text in (b"x" * 2**21, b"\\n" * 2**20):
        with pytest.raises(ValueError, match="far too long"):
            read_object(b'{"a": "' + text + b'"}')


def test_a_mark_of_the_byte_order_is_passed_over() -> None:
    assert read_object(b"\xef\xbb\xbf" + b'{"a": 1}') == {"a": 1}
