"""The table of formats: which one is chosen, and what a tool block says."""

import json

import pytest

from app.provider.formats.hermes_tools import hermes_tool_block
from app.provider.formats.output_formats import (
    HARMONY,
    HERMES,
    MISTRAL_JSON,
    OUTPUT_FORMATS,
    PLAIN,
    choose_format,
    format_named,
)
from app.provider.types import Tool
from tests.provider.chat_templates import FAMILIES, Family

DEEPSEEK = "<\uff5ctool\u2581calls\u2581begin\uff5c>"


@pytest.mark.parametrize(
    ("template", "name"),
    [
        ('<tool_call>\\n{"name": <function-name>, "arguments": <args>}\\n</tool_call>', "hermes"),
        ("<tool_call>\\n<function=x>\\n<parameter=y>", "qwen3_coder"),
        ("<tool_call>{name}\\n<arg_key>k</arg_key><arg_value>v</arg_value></tool_call>", "glm"),
        ('"parameters": dictionary of argument name and its value}', "llama3_json"),
        ("use [func_name1(params_name1=params_value1, ...), func_name2(params)]", "pythonic"),
        ("<functions>{{ tools }}</functions> <function_calls>", "olmo3"),
        ("List of tools: <|tool_list_start|>[", "lfm2"),
        ("[AVAILABLE_TOOLS] [TOOL_CALLS]", "mistral_json"),
        ("[AVAILABLE_TOOLS] [TOOL_CALLS]{{ name }}[ARGS]", "mistral_args"),
        ("<|tool|>{{ message.tools }}<|/tool|>", "phi4_mini"),
        ("<|start_of_role|>{{ role }}<|end_of_role|> <|tool_call|> and a list", "granite"),
        ("<start_function_call>call:", "function_gemma"),
        ("<|tool_call>call:{{ name }}", "gemma4"),
        (f"{DEEPSEEK} ```json", "deepseek_v3"),
        (DEEPSEEK, "deepseek_v31"),
        ("<|start|>assistant<|channel|>analysis<|message|>", "harmony"),
        ("<|im_start|>assistant -> tool/function_call\\n", "hyperclovax_think"),
        ('[|assistant|]<tool_call>{"name": x, "arguments": y}</tool_call>', "exaone"),
        ("{{ message.role }}: {{ message.content }}", "plain"),
    ],
)
def test_a_template_is_recognised(template: str, name: str) -> None:
    assert choose_format(template, (), ()).name == name
    assert format_named(name).name == name


FOUND = {
    "llama3": "llama3_json",
    "mistral_v3": "mistral_json",
    "phi4_mini": "phi4_mini",
    "qwen2_5": "hermes",
    "qwen3": "hermes",
    "glm4": "glm",
    "lfm2": "lfm2",
    "exaone4": "exaone",
    "granite3": "granite",
    "gpt_oss": "harmony",
    "smollm2": "plain",
    "gemma3": "plain",
    "exaone3_5": "plain",
}


@pytest.mark.parametrize("family", FAMILIES, ids=lambda family: family.name)
def test_templates_of_families_are_recognised(family: Family) -> None:
    found = choose_format(family.source, (), ()).name
    assert found == FOUND.get(family.name, found)


def test_every_format_can_be_recognised() -> None:
    for known in OUTPUT_FORMATS[:-1]:
        assert choose_format(" ".join(known.templates[0]), (), ()) == known
        for tokens in known.vocabularies:
            assert choose_format("", tokens[:1], tokens[1:]).vocabularies


def test_the_template_counts_before_the_vocabulary() -> None:
    assert choose_format("[TOOL_CALLS]", ("<|channel|>", "<|message|>"), ()) == MISTRAL_JSON
    assert choose_format("", ("<|channel|>", "<|message|>", "[TOOL_CALLS]"), ()) == HARMONY


def test_an_unknown_name_is_the_plain_format() -> None:
    assert format_named("") == format_named("no such format") == PLAIN
    assert PLAIN.calls == HERMES.calls


def test_control_tokens_among_the_markers_are_kept() -> None:
    assert HERMES.kept(["<tool_call>", "<|im_end|>"]) == {"<tool_call>"}
    assert not HERMES.kept(["<|im_start|>"])


def test_the_tool_block_reads_as_qwen_writes_it() -> None:
    tools = (
        Tool("weather", "날씨를 알려준다", '{"type": "object", "properties": {}}'),
        Tool("now"),
    )

    block = hermes_tool_block(tools)

    listed = block.partition("<tools>\n")[2].partition("\n</tools>")[0].splitlines()
    assert [json.loads(line)["function"]["name"] for line in listed] == ["weather", "now"]
    assert "날씨를 알려준다" in block
    assert block.endswith(
        '<tool_call>\n{"name": <function-name>, "arguments": <args-json-object>}\n</tool_call>'
    )
