"""How model families spell tool calls and channels in their answers: data, without any parsing.

The engine process chooses the format of a model (``choose_format``), names it in
``Started.output_format``, shows the parser the control tokens that the format needs, and builds
grammars of calls from ``CallSyntax``. The parsers in ``app/chat/parsers`` read the same table.

Control tokens: an answer's text has only those among ``OutputFormat.markers``; the engine lets
them through when they are control tokens of the vocabulary (``OutputFormat.kept``), and drops all
others as it always does. A marker that is ordinary text reaches the parser anyway.

Thinking: the engine's ``ThinkingFilter`` stays on for every format; it separates ``<think>`` and
``[THINK]`` from the answer, also where markers are kept. Channels (``channels``) are separated
by the parser: it makes ``ThinkingDelta`` of an analysis channel. So it gets the answer's text only.

White space in these texts is what the family was trained on: a grammar writes it, a parser
accepts any.
"""

# ruff: noqa: RUF001 the bars of DeepSeek's tokens are full-width

from __future__ import annotations

from collections.abc import Collection

from app.provider.formats.call_syntax import CallSyntax, OutputFormat, ParameterSpelling

_TOOL_CALL_TAGS = frozenset({"<tool_call>", "</tool_call>"})
_MISTRAL = frozenset({"[TOOL_CALLS]", "[ARGS]", "[CALL_ID]"})
_DEEPSEEK = frozenset(
    f"<｜tool▁{name}｜>" for name in ("calls▁begin", "calls▁end", "call▁begin", "call▁end", "sep")
)

HERMES = OutputFormat(
    "hermes",
    CallSyntax("json", "<tool_call>\n", "\n</tool_call>", separator="\n"),
    _TOOL_CALL_TAGS,
    (("<tool_call>", "arguments"),),
    (("<tool_call>", "</tool_call>"),),
)
"""Hermes 2 and 3, Qwen2.5, Qwen3, SmolLM2 and 3. Calls of a prompt with the Hermes tool block."""

QWEN3_CODER = OutputFormat(
    "qwen3_coder",
    CallSyntax(
        "markup",
        "<tool_call>\n<function=",
        "</function>\n</tool_call>",
        separator="\n",
        after_name=">\n",
        parameter=ParameterSpelling("<parameter=", ">\n", "\n</parameter>\n"),
    ),
    _TOOL_CALL_TAGS,
    (("<function=", "<parameter="),),
)
"""Qwen3-Coder, Qwen3.5 and later, MiMo, Nemotron 3."""

LLAMA3_JSON = OutputFormat(
    "llama3_json",
    CallSyntax("json", arguments_key="parameters", separator="; ", only_at_start=True),
    frozenset({"<|python_tag|>"}),
    (("dictionary of argument name and its value",), ("<|python_tag|>",)),
    (("<|python_tag|>", "<|eom_id|>"),),
)
"""Llama 3.1 and 3.2; ``<|python_tag|>`` may come first."""

PYTHONIC = OutputFormat(
    "pythonic",
    CallSyntax("pythonic", section_open="[", section_close="]", separator=", ", only_at_start=True),
    frozenset({"<|python_start|>", "<|python_end|>"}),
    (("[func_name1(params_name1=params_value1",),),
    (("<|python_start|>", "<|python_end|>"),),
)
"""Llama 4, and Llama 3.2 with templates that ask for Python calls."""

OLMO3 = OutputFormat(
    "olmo3",
    CallSyntax(
        "pythonic",
        section_open="<function_calls>",
        section_close="</function_calls>",
        separator="\n",
    ),
    frozenset({"<function_calls>", "</function_calls>"}),
    (("<function_calls>", "<functions>"),),
)
"""Olmo 3: Python calls, each on a line."""

LFM2 = OutputFormat(
    "lfm2",
    CallSyntax(
        "pythonic",
        section_open="<|tool_call_start|>[",
        section_close="]<|tool_call_end|>",
        separator=", ",
    ),
    frozenset({"<|tool_call_start|>", "<|tool_call_end|>"}),
    (("<|tool_list_start|>",), ("<|tool_call_start|>",)),
    (("<|tool_call_start|>", "<|tool_call_end|>"),),
)
"""LFM2; a list of JSON calls between the markers is read as well."""

MISTRAL_ARGS = OutputFormat(
    "mistral_args",
    CallSyntax("named_json", "[TOOL_CALLS]", after_name="[ARGS]"),
    _MISTRAL,
    (("[TOOL_CALLS]", "[ARGS]"),),
    (("[TOOL_CALLS]", "[ARGS]"),),
)
"""Mistral from tokenizer v11 on: Small 3.2, Ministral 3, Devstral."""

MISTRAL_JSON = OutputFormat(
    "mistral_json",
    CallSyntax("json", section_open="[TOOL_CALLS][", section_close="]", separator=", "),
    _MISTRAL,
    (("[TOOL_CALLS]",),),
    (("[TOOL_CALLS]",),),
)
"""Mistral up to tokenizer v7: Nemo, Small 2409, 7B v0.3."""

PHI4_MINI = OutputFormat(
    "phi4_mini",
    CallSyntax("json", section_open="functools[", section_close="]", separator=", "),
    frozenset({"<|tool_call|>", "<|/tool_call|>"}),
    (("<|tool|>", "<|/tool|>"), ("functools",)),
    (("<|tool|>", "<|/tool|>", "<|tool_call|>"),),
)
"""Phi-4-mini; a list between ``<|tool_call|>`` and ``<|/tool_call|>`` is read as well."""

GRANITE = OutputFormat(
    "granite",
    CallSyntax("json", section_open="<|tool_call|>[", section_close="]", separator=", "),
    frozenset({"<|tool_call|>"}),
    (("<|start_of_role|>", "<|tool_call|>"),),
    (("<|start_of_role|>", "<|tool_call|>"),),
)
"""Granite 3."""

FUNCTION_GEMMA = OutputFormat(
    "function_gemma",
    CallSyntax(
        "braces",
        "<start_function_call>call:",
        "<end_function_call>",
        quote="<escape>",
    ),
    frozenset({"<start_function_call>", "<end_function_call>", "<escape>"}),
    (("<start_function_call>",),),
    (("<start_function_call>", "<end_function_call>"),),
)
"""FunctionGemma. Gemma 3 itself has no syntax of its own: ``plain``."""

GEMMA4 = OutputFormat(
    "gemma4",
    CallSyntax("braces", "<|tool_call>call:", "<tool_call|>", quote='<|"|>'),
    frozenset({"<|tool_call>", "<tool_call|>", '<|"|>', "<|channel>", "<channel|>"}),
    (("<|tool_call>",), ("<|channel>", "<channel|>")),
    (("<|tool_call>", "<tool_call|>"),),
    channels=True,
)
"""Gemma 4; thinking stands between ``<|channel>thought`` and ``<channel|>``."""

DEEPSEEK_V3 = OutputFormat(
    "deepseek_v3",
    CallSyntax(
        "named_json",
        "<｜tool▁call▁begin｜>function<｜tool▁sep｜>",
        "\n```<｜tool▁call▁end｜>",
        "<｜tool▁calls▁begin｜>",
        "<｜tool▁calls▁end｜>",
        separator="\n",
        after_name="\n```json\n",
    ),
    _DEEPSEEK,
    (("<｜tool▁calls▁begin｜>", "```json"),),
)
"""DeepSeek V3 and R1."""

DEEPSEEK_V31 = OutputFormat(
    "deepseek_v31",
    CallSyntax(
        "named_json",
        "<｜tool▁call▁begin｜>",
        "<｜tool▁call▁end｜>",
        "<｜tool▁calls▁begin｜>",
        "<｜tool▁calls▁end｜>",
        after_name="<｜tool▁sep｜>",
    ),
    _DEEPSEEK,
    (("<｜tool▁calls▁begin｜>",),),
    (("<｜tool▁calls▁begin｜>", "<｜tool▁sep｜>"),),
)
"""DeepSeek V3.1."""

GLM = OutputFormat(
    "glm",
    CallSyntax(
        "markup",
        "<tool_call>",
        "</tool_call>",
        separator="\n",
        after_name="\n",
        parameter=ParameterSpelling("<arg_key>", "</arg_key>\n<arg_value>", "</arg_value>\n"),
    ),
    _TOOL_CALL_TAGS | {"<arg_key>", "</arg_key>", "<arg_value>", "</arg_value>"},
    (("<arg_key>", "<arg_value>"),),
    (("<arg_key>", "<arg_value>"),),
)
"""GLM 4.5 to 4.7, HyperCLOVA X SEED Think 32B."""

HARMONY = OutputFormat(
    "harmony",
    CallSyntax(
        "named_json",
        "<|channel|>commentary to=functions.",
        "<|call|>",
        after_name=" <|constrain|>json<|message|>",
        single=True,
    ),
    frozenset(
        f"<|{name}|>"
        for name in ("start", "channel", "message", "constrain", "end", "call", "return")
    ),
    (("<|channel|>", "<|message|>"),),
    (("<|channel|>", "<|message|>"),),
    channels=True,
)
"""gpt-oss: every part of an answer is a message of a channel (analysis, commentary, final)."""

HYPERCLOVAX_THINK = OutputFormat(
    "hyperclovax_think",
    CallSyntax("json", section_open=" -> tool/function_call\n[", section_close="]", separator=", "),
    frozenset({"<|im_start|>", "<|im_end|>"}),
    (("-> tool/function_call",),),
    channels=True,
    part_end="<|im_end|>",
    answer_ends=("<|endofturn|>", "<|stop|>"),
)
"""HyperCLOVA X SEED Think 14B: an answer is turns, those of thinking and of calls by their role."""

EXAONE = OutputFormat(
    "exaone",
    CallSyntax("json", "<tool_call>", "</tool_call>", separator="\n"),
    _TOOL_CALL_TAGS,
    (("[|tool|]",), ("<tool_call>", "[|assistant|]")),
    (("<tool_call>", "[|assistant|]"),),
)
"""EXAONE 4."""

PLAIN = OutputFormat("plain", HERMES.calls, HERMES.markers)
"""No syntax is known: the Hermes tool block teaches one (SmolLM2, Gemma 3, EXAONE 3.5)."""

OUTPUT_FORMATS = (
    HARMONY,
    HYPERCLOVAX_THINK,
    QWEN3_CODER,
    GLM,
    EXAONE,
    GEMMA4,
    FUNCTION_GEMMA,
    LFM2,
    OLMO3,
    DEEPSEEK_V3,
    DEEPSEEK_V31,
    MISTRAL_ARGS,
    MISTRAL_JSON,
    GRANITE,
    PHI4_MINI,
    HERMES,
    PYTHONIC,
    LLAMA3_JSON,
    PLAIN,
)
"""The first that is recognised is taken: what is more special comes first."""

_BY_NAME = {one.name: one for one in OUTPUT_FORMATS}


def format_named(name: str) -> OutputFormat:
    """The format of this name; ``PLAIN`` for one that is unknown or empty."""
    return _BY_NAME.get(name, PLAIN)


def choose_format(
    template_source: str, control_texts: Collection[str], added_texts: Collection[str]
) -> OutputFormat:
    """The format that a model was trained on: by its chat template, or else by its vocabulary.

    Where the template turns out not to use tools, the Hermes tool block is put into the prompt,
    and ``HERMES`` is the format unless this one has channels.
    """
    spellings = {*control_texts, *added_texts}
    for found in OUTPUT_FORMATS:
        if any(all(text in template_source for text in texts) for texts in found.templates):
            return found
    known = (one for one in OUTPUT_FORMATS if any(spellings >= {*v} for v in one.vocabularies))
    return next(known, PLAIN)
