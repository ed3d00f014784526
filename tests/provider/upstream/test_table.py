"""The table of features in the documentation is that of the program."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from app.provider.engines.upstream.features import FEATURES, Features
from app.provider.remote import ServerKind

DOCS = Path(__file__).parents[3] / "docs"
ROWS: dict[str, Callable[[Features], bool]] = {
    "pictures in results of tools": lambda it: it.tool_images,
    "`tool_choice`: required, one tool": lambda it: it.required_tool,
    "JSON Schema": lambda it: it.json_schema,
    "regular expression": lambda it: bool(it.regex),
    "grammar (Lark), choices": lambda it: bool(it.lark),
    "`logprobs`": lambda it: it.logprobs,
    "`logit_bias`": lambda it: it.logit_bias,
    "`top_k`": lambda it: it.top_k,
    "`min_p`": lambda it: it.min_p,
    "`repeat_penalty`": lambda it: bool(it.repeat_penalty),
    "variables of the chat template": lambda it: it.template_variables,
    "bound on thinking, in tokens": lambda it: bool(it.thinking_budget),
    "bound on thinking, as an effort": lambda it: it.template_variables or it.reasoning_effort,
    "earlier thinking is sent along": lambda it: bool(it.thinking),
    "embeddings": lambda it: it.embeddings,
    "rankings": lambda it: it.rerank,
    "owners are kept apart": lambda it: it.cache_salt,
}


def table(name: str) -> list[list[str]]:
    """The rows of the table of kinds, the names of the kinds first."""
    lines = (DOCS / name).read_text(encoding="utf-8").splitlines()
    start = next(at for at, line in enumerate(lines) if line.startswith("| | sllm |"))
    rows = [[cell.strip() for cell in line.split("|")[1:-1]] for line in lines[start:]]
    return rows[: next(at for at, row in enumerate(rows) if not row)]


@pytest.mark.parametrize("row", sorted(ROWS))
def test_a_row_says_what_the_program_does(row: str) -> None:
    head, _, *rows = table("upstream.md")
    (cells,) = [cells for name, *cells in rows if name == row]
    kinds: list[ServerKind] = [kind for kind in FEATURES if kind in head]
    assert len(kinds) == len(FEATURES)
    found = {kind: cells[head.index(kind) - 1] == "yes" for kind in kinds}
    assert found == {kind: ROWS[row](FEATURES[kind]) for kind in kinds}


def test_both_languages_have_the_same_table() -> None:
    english, korean = table("upstream.md"), table("upstream.ko.md")
    shown = [[cell != "" for cell in row] for row in english]
    assert shown == [[cell != "" for cell in row] for row in korean]
