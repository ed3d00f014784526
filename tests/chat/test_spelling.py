"""The parsers read what the table of formats writes."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.provider.formats.call_syntax import OutputFormat
from app.provider.formats.output_formats import OUTPUT_FORMATS
from tests.chat.parsing import parse
from tests.chat.spelling import Call, spelled

TEXTS = st.text(st.sampled_from("ab 1{}[]()\"'\\,:;=/\n\t글😀|>`"), max_size=12)
"""Without ``<``: a text with the tags around texts cannot be told from their ends."""
KEYS = st.sampled_from(["k", "key_2", "키"])
NUMBERS = st.integers(-(10**6), 10**6) | st.sampled_from([0.5, -2.25])
VALUES: st.SearchStrategy[Any] = st.recursive(
    TEXTS | NUMBERS | st.booleans() | st.none(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=2),
    max_leaves=6,
)
SAVE = st.fixed_dictionaries(
    {},
    optional={
        "text": TEXTS,
        "tags": st.lists(VALUES, max_size=3),
        "options": st.dictionaries(KEYS, VALUES, max_size=3),
        "draft": st.booleans(),
        "size": NUMBERS,
    },
)
CALLS = st.lists(st.tuples(st.just("save"), SAVE) | st.just(("now", {})), min_size=1, max_size=3)


@pytest.mark.parametrize("known", OUTPUT_FORMATS, ids=lambda known: known.name)
@settings(max_examples=8, deadline=None)
@given(calls=CALLS, length=st.integers(1, 30))
def test_what_the_table_spells_is_read(known: OutputFormat, calls: list[Call], length: int) -> None:
    written = calls[:1] if known.calls.single else calls
    text = spelled(known.calls, written)

    parsed = parse(known.name, [text[at : at + length] for at in range(0, len(text), length)])

    assert parsed.content == ""
    assert [(name, json.loads(found)) for name, found in parsed.calls] == written
