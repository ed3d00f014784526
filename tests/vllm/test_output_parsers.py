"""vLLM's parsers of tool calls and thinking, chosen by the chat template."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from app.provider.engines.vllm.output_parsers import (
    REASONING_PARSERS,
    TOOL_PARSERS,
    parser_options,
)
from app.provider.formats.output_formats import OUTPUT_FORMATS, format_named
from tests.vllm import stub

TABLE = json.loads(stub.TABLE.read_text())
HERMES = "<tool_call> {{ arguments }} </tool_call>"


def options(folder: Path, template: str, *given: str) -> list[str]:
    (folder / "chat_template.jinja").write_text(template)
    return list(parser_options(folder, given))


def test_every_parser_is_one_of_vllm() -> None:
    assert set(TOOL_PARSERS.values()) <= set(TABLE["tool_parsers"])
    assert {parser for _, parser in REASONING_PARSERS.values()} <= set(TABLE["reasoning_parsers"])
    assert set(TOOL_PARSERS) | set(REASONING_PARSERS) <= {one.name for one in OUTPUT_FORMATS}


@pytest.mark.parametrize("name", sorted(TOOL_PARSERS))
def test_a_format_that_is_recognised_has_its_parser(tmp_path: Path, name: str) -> None:
    for texts in format_named(name).templates:
        found = options(tmp_path, " ".join(texts))
        assert found[:2] == [
            "--enable-auto-tool-choice",
            f"--tool-call-parser={TOOL_PARSERS[name]}",
        ]


def test_thinking_is_parsed_where_the_template_has_it(tmp_path: Path) -> None:
    assert "--reasoning-parser=qwen3" in options(tmp_path, HERMES + "{{ enable_thinking }}")
    assert "--reasoning-parser=qwen3" not in options(tmp_path, HERMES)


def test_what_is_given_wins(tmp_path: Path) -> None:
    template = HERMES + "{{ enable_thinking }}"
    given = ("--tool-call-parser=xlam", "--reasoning-parser", "deepseek_r1")
    assert options(tmp_path, template, *given) == []


def test_a_template_that_is_not_known_has_none(tmp_path: Path) -> None:
    assert options(tmp_path, "{{ messages }}") == []
    (tmp_path / "chat_template.jinja").unlink()
    assert list(parser_options(tmp_path, ())) == []
