"""Answers as models of every family write them, and what is in them."""

# ruff: noqa: E501, RUF001 answers are long; the bars of DeepSeek's tokens are full-width

from __future__ import annotations

import json
from typing import Any, NamedTuple


class Answer(NamedTuple):
    """An answer in a format, with what a client should get of it.

    The arguments of ``calls`` are values: a test compares what their JSON means.
    """

    format: str
    text: str
    content: str = ""
    calls: tuple[tuple[str, dict[str, Any]], ...] = ()
    thinking: str = ""


SEOUL: tuple[str, dict[str, Any]] = ("weather", {"city": "서울", "days": 2})
NOW: tuple[str, dict[str, Any]] = ("now", {})
TRICKY = '</tool_call> ] } "quoted" \\ <|call|> [TOOL_CALLS] </function> 날씨\n\tend'
"""A string that holds the marks of many formats."""
NESTED: dict[str, Any] = {
    "text": TRICKY,
    "tags": ["a]", ["b}", {"c": None}]],
    "options": {"deep": {"er": [1, -2.5e3, True, False]}, "": "{}"},
}
SAVE: tuple[str, dict[str, Any]] = ("save", NESTED)


def dumps(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False)


def json_call(name: str, arguments: Any, key: str = "arguments") -> str:
    """A call as most families write it."""
    return dumps({"name": name, key: arguments})


def _tagged(*calls: tuple[str, dict[str, Any]], end: str = "\n</tool_call>") -> str:
    return "\n".join(f"<tool_call>\n{json_call(*call)}{end}" for call in calls)


def _listed(*calls: tuple[str, dict[str, Any]]) -> str:
    return "[" + ", ".join(json_call(*call) for call in calls) + "]"


HERMES = [
    Answer("hermes", _tagged(SEOUL), "", (SEOUL,)),
    Answer("hermes", "찾아볼게요.\n" + _tagged(SEOUL, NOW), "찾아볼게요.", (SEOUL, NOW)),
    Answer("hermes", _tagged(SAVE) + "\nDone.", "\nDone.", (SAVE,)),
    Answer("hermes", _tagged(SEOUL, end=""), "", (SEOUL,)),
    Answer("hermes", "<tool_call>" + json_call(*NOW) + "</tool_call>", "", (NOW,)),
    Answer("hermes", f"<tool_call>\n{_listed(SEOUL, NOW)}\n</tool_call>", "", (SEOUL, NOW)),
    Answer("hermes", f"<tool_call>\n{json_call(*SEOUL)}\n{json_call(*NOW)}\n</tool_call>", "",
           (SEOUL, NOW)),
    Answer("hermes", '<tool_call>{"arguments": {"city": "서울", "days": 2}, "name": "weather"}',
           "", (SEOUL,)),
    Answer("hermes", '<tool_call>{"name": "now"}</tool_call>', "", (NOW,)),
    Answer("hermes", '<tool_call>{"name": "now", "arguments": null}</tool_call>', "", (NOW,)),
    Answer("hermes", '<tool_call>{"id": "1", "type": "function", "name": "now", "arguments": {}}',
           "", (NOW,)),
    Answer("hermes", "<tool_call>" + json_call("weather", dumps(SEOUL[1])) + "</tool_call>", "",
           (SEOUL,)),
    Answer("hermes", json_call(*SEOUL), "", (SEOUL,)),
    Answer("hermes", '<tool_call>\n{"name": "now", "arguments": {}\n</tool_call>', "", (NOW,)),
    Answer("hermes", '<tool_call>{"name": "save", "arguments": {"text": "a\nb"}}</tool_call>', "",
           (("save", {"text": "a\nb"}),)),
    Answer("plain", f"```json\n{json_call(*SEOUL)}\n```\nOk.", "\nOk.", (SEOUL,)),
    Answer("plain", "```json\n[1, 2]\n```", "```json\n[1, 2]\n```"),
    Answer("plain", "```python\nnow()\n```", "```python\nnow()\n```"),
    Answer("plain", _tagged(NOW) + "\n```python\n1\n```", "\n```python\n1\n```", (NOW,)),
    Answer("plain", "Sure: " + _tagged(NOW), "Sure:", (NOW,)),
    Answer("exaone", '<tool_call>{"name": "now", "arguments": {}}</tool_call>', "", (NOW,)),
]  # fmt: skip

QWEN3_CODER = [
    Answer(
        "qwen3_coder",
        "I'll look.\n\n<tool_call>\n<function=weather>\n<parameter=city>\n서울\n</parameter>\n"
        "<parameter=days>\n2\n</parameter>\n</function>\n</tool_call>",
        "I'll look.",
        (SEOUL,),
    ),
    Answer(
        "qwen3_coder",
        "<tool_call>\n<function=now>\n</function>\n</tool_call>\n"
        "<tool_call>\n<function=now>\n</function>\n</tool_call>",
        "",
        (NOW, NOW),
    ),
    Answer(
        "qwen3_coder",
        "<function=save>\n< parameter = text >\n\nif a < b:\n  print('</parameter> \"')\n\n"
        "</parameter>\n<parameter=tags>\n[\"x\", {\"y\": 1}]\n</parameter>\n"
        "<parameter=draft>True</parameter><parameter=size>1e3</parameter></function>",
        "",
        (
            (
                "save",
                {
                    "text": "\nif a < b:\n  print('</parameter> \"')\n",
                    "tags": ["x", {"y": 1}],
                    "draft": True,
                    "size": 1000.0,
                },
            ),
        ),
    ),
    Answer("qwen3_coder", "<tool_call>\n<function=weather>\n<parameter=city>\nBusan", "",
           (("weather", {"city": "Busan"}),)),
    Answer("qwen3_coder", "<tool_call><function=weather><parameter=days>two</parameter>"
           "</function></tool_call>ok", "ok", (("weather", {"days": "two"}),)),
    Answer("qwen3_coder", "a < b, <function> and <tool_calls>", "a < b, <function> and <tool_calls>"),
]  # fmt: skip

GLM = [
    Answer(
        "glm",
        "좋아요.\n<tool_call>weather\n<arg_key>city</arg_key>\n<arg_value>서울</arg_value>\n"
        "<arg_key>days</arg_key>\n<arg_value>2</arg_value>\n</tool_call>\n<tool_call>now\n"
        "</tool_call>",
        "좋아요.",
        (SEOUL, NOW),
    ),
    Answer(
        "glm",
        "<tool_call>save<arg_key>text</arg_key><arg_value>a </arg_value> b\n</arg_value>"
        '<arg_key>options</arg_key><arg_value>{"a": [1]}</arg_value></tool_call>',
        "",
        (("save", {"text": "a </arg_value> b\n", "options": {"a": [1]}}),),
    ),
    Answer("glm", "<tool_call>weather\\n<arg_key>city</arg_key>\n<arg_value>Jeju</arg_value>", "",
           (("weather", {"city": "Jeju"}),)),
    Answer("glm", "<tool_call>the weather is nice</tool_call>",
           "<tool_call>the weather is nice</tool_call>"),
]  # fmt: skip

LLAMA = [
    Answer("llama3_json", json_call("weather", SEOUL[1], "parameters"), "", (SEOUL,)),
    Answer("llama3_json", "<|python_tag|>" + json_call("weather", SEOUL[1], "parameters"), "",
           (SEOUL,)),
    Answer("llama3_json", json_call(*SEOUL) + "; " + json_call("now", {}, "parameters"), "",
           (SEOUL, NOW)),
    Answer("llama3_json", '{"type": "function", "name": "now", "parameters": {}}', "", (NOW,)),
    Answer("llama3_json", '{"function": "now", "parameters": {}}', "", (NOW,)),
    Answer("llama3_json", '{"city": "Seoul", "days": 2}', '{"city": "Seoul", "days": 2}'),
    Answer("llama3_json", '{"name": "Jordan"}', '{"name": "Jordan"}'),
    Answer("llama3_json", 'An object: {"name": "now", "parameters": {}}',
           'An object: {"name": "now", "parameters": {}}'),
]  # fmt: skip

PYTHONIC = [
    Answer("pythonic", '[weather(city="서울", days=2), now()]', "", (SEOUL, NOW)),
    Answer("pythonic", " [now( )]", "", (NOW,)),
    Answer(
        "pythonic",
        "[save(text='a) ] \\'b\\' \"', tags=[1, -2.5, (True, false, null)], "
        "options={'k': {'v': None}})]",
        "",
        (
            (
                "save",
                {
                    "text": "a) ] 'b' \"",
                    "tags": [1, -2.5, [True, False, None]],
                    "options": {"k": {"v": None}},
                },
            ),
        ),
    ),
    Answer("pythonic", "[save(text='\\d')]", "", (("save", {"text": "\\d"}),)),
    Answer("pythonic", "<|python_start|>[now()]<|python_end|>", "", (NOW,)),
    Answer("pythonic", json_call("now", {}, "parameters"), "", (NOW,)),
    Answer("pythonic", "[a link](https://example.org)", "[a link](https://example.org)"),
    Answer("pythonic", "[weather(city=__import__('os').getcwd())]",
           "[weather(city=__import__('os').getcwd())]"),
    Answer("pythonic", "[weather('서울')]", "[weather('서울')]"),
    Answer("pythonic", "[weather(city=f'{1}')]", "[weather(city=f'{1}')]"),
    Answer("pythonic", "[weather(**{'city': 1})]", "[weather(**{'city': 1})]"),
    Answer("pythonic", "[weather(days=-1e999)]", "", (("weather", {"days": -1.7976931348623157e308}),)),
    Answer("pythonic", "[1, 2, 3]", "[1, 2, 3]"),
    Answer("olmo3", 'Hi.\n<function_calls>weather(city="서울", days=2)\nnow()</function_calls>',
           "Hi.", (SEOUL, NOW)),
    Answer("lfm2", '<|tool_call_start|>[weather(city="서울", days=2)]<|tool_call_end|>잠시만요.',
           "잠시만요.", (SEOUL,)),
    Answer("lfm2", f"<|tool_call_start|>{_listed(SEOUL, NOW)}<|tool_call_end|>", "", (SEOUL, NOW)),
    Answer("lfm2", "<|tool_call_start|>[now(), now()]", "", (NOW, NOW)),
]  # fmt: skip

MISTRAL = [
    Answer("mistral_json", f"[TOOL_CALLS]{_listed(SEOUL, NOW)}", "", (SEOUL, NOW)),
    Answer("mistral_json", '[TOOL_CALLS] [{"name": "now", "arguments": {}, "id": "abcdefghi"}]',
           "", (NOW,)),
    Answer("mistral_json", f"[TOOL_CALLS]{_listed(SAVE)}", "", (SAVE,)),
    Answer("mistral_args", f"네.[TOOL_CALLS]weather[ARGS]{dumps(SEOUL[1])}[TOOL_CALLS]now[ARGS]{{}}",
           "네.", (SEOUL, NOW)),
    Answer("mistral_args", f"[TOOL_CALLS]save[CALL_ID]abc123def[ARGS]{dumps(NESTED)}", "", (SAVE,)),
    Answer("mistral_args", f"[TOOL_CALLS]weather{dumps(SEOUL[1])} Done.", " Done.", (SEOUL,)),
    Answer("mistral_args", f"[TOOL_CALLS]{_listed(NOW)}", "", (NOW,)),
]  # fmt: skip

PHI = [
    Answer("phi4_mini", f"functools{_listed(SAVE, NOW)}", "", (SAVE, NOW)),
    Answer("phi4_mini", f"<|tool_call|>{_listed(NOW)}<|/tool_call|>", "", (NOW,)),
    Answer("phi4_mini", "Python's functools has a cache.", "Python's functools has a cache."),
]

GRANITE = [
    Answer("granite", f"<|tool_call|>{_listed(SEOUL, NOW)}", "", (SEOUL, NOW)),
    Answer("granite", f"Wait.<|tool_call|> {_listed(SAVE)}", "Wait.", (SAVE,)),
]

DEEPSEEK = [
    Answer(
        "deepseek_v3",
        "봅시다.<｜tool▁calls▁begin｜><｜tool▁call▁begin｜>function<｜tool▁sep｜>weather\n```json\n"
        f"{dumps(SEOUL[1])}\n```<｜tool▁call▁end｜>\n<｜tool▁call▁begin｜>function<｜tool▁sep｜>now\n"
        "```json\n{}\n```<｜tool▁call▁end｜><｜tool▁calls▁end｜>",
        "봅시다.",
        (SEOUL, NOW),
    ),
    Answer(
        "deepseek_v31",
        f"<｜tool▁calls▁begin｜><｜tool▁call▁begin｜>save<｜tool▁sep｜>{dumps(NESTED)}"
        "<｜tool▁call▁end｜><｜tool▁call▁begin｜>now<｜tool▁sep｜>{}",
        "",
        (SAVE, NOW),
    ),
]

GEMMA = [
    Answer("function_gemma", "<start_function_call>call:weather{city:<escape>서울<escape>,days:2}"
           "<end_function_call>", "", (SEOUL,)),
    Answer("function_gemma", "<start_function_call>call:now{}<end_function_call>"
           "<start_function_call>call:now{}<end_function_call>", "", (NOW, NOW)),
    Answer(
        "gemma4",
        '<|channel>thought\n생각 중\n<channel|>네.<|tool_call>call:save{text:<|"|>a}, <tool_call|> '
        '"q"<|"|>,tags:[<|"|>x<|"|>,1.5,{k:true}],options:{a:{b:null}},draft:false}<tool_call|>',
        "네.",
        (
            (
                "save",
                {
                    "text": 'a}, <tool_call|> "q"',
                    "tags": ["x", 1.5, {"k": True}],
                    "options": {"a": {"b": None}},
                    "draft": False,
                },
            ),
        ),
        "생각 중\n",
    ),
    Answer("gemma4", "<|tool_call>:now{}<tool_call|>", "", (NOW,)),
    Answer("gemma4", "<|tool_call>call:weather{city:Seoul, days: 2 }", "",
           (("weather", {"city": "Seoul", "days": 2}),)),
    Answer("gemma4", "<|tool_call>call:weather{days:1e999}<tool_call|>", "",
           (("weather", {"days": 1.7976931348623157e308}),)),
    Answer("gemma4", "<|channel>thought\n<channel|>Hello", "Hello"),
]  # fmt: skip

HARMONY = [
    Answer(
        "harmony",
        "<|channel|>analysis<|message|>The user greets.<|end|><|start|>assistant<|channel|>final"
        "<|message|>안녕하세요!",
        "안녕하세요!",
        (),
        "The user greets.",
    ),
    Answer(
        "harmony",
        "<|channel|>analysis<|message|>Look it up.<|end|><|start|>assistant<|channel|>commentary "
        f"to=functions.weather <|constrain|>json<|message|>{dumps(SEOUL[1])}<|call|>",
        "",
        (SEOUL,),
        "Look it up.",
    ),
    Answer(
        "harmony",
        " to=functions.save<|channel|>commentary<|constrain|>json<|message|> "
        f"{dumps(NESTED)}",
        "",
        (SAVE,),
    ),
    Answer(
        "harmony",
        "<|channel|>commentary<|message|>I will check.<|end|><|start|>assistant to=functions.now"
        "<|channel|>commentary json<|message|>{}<|call|>",
        "I will check.",
        (NOW,),
    ),
    Answer("harmony", "<|channel|>commentary to=functions.unknown<|message|>{}<|call|>", "{}"),
    Answer("harmony", "<|channel|>analysis to=python<|message|>print(1)<|call|>", "", (), "print(1)"),
    Answer("harmony", "Hello without channels.", "Hello without channels."),
    Answer("harmony", "<|channel|>final<|message|>a < b <| c <|start", "a < b <| c <|start"),
    Answer("harmony", "<|channel|>final<|message|>one<|channel|>analysis<|message|>two", "one", (),
           "two"),
    Answer("harmony", "<|channel|>analysis I think<|end|>finally", "finally", (), "I think"),
]  # fmt: skip

HYPERCLOVAX = [
    Answer(
        "hyperclovax_think",
        "/think\n날씨를 찾는다.<|im_end|>\n<|im_start|>assistant\n맑습니다.<|im_end|>",
        "맑습니다.",
        (),
        "날씨를 찾는다.",
    ),
    Answer(
        "hyperclovax_think",
        f"/think\n도구.<|im_end|>\n<|im_start|>assistant -> tool/function_call\n{_listed(SEOUL, NOW)}"
        "<|im_end|>",
        "",
        (SEOUL, NOW),
        "도구.",
    ),
    Answer("hyperclovax_think", f" -> tool/function_call\n{_listed(SAVE)}", "", (SAVE,)),
    Answer("hyperclovax_think", "\n안녕하세요 -> tool/function_call", "안녕하세요 -> tool/function_call"),
    Answer("hyperclovax_think", "안녕", "안녕"),
]  # fmt: skip

ANSWERS = [
    *HERMES,
    *QWEN3_CODER,
    *GLM,
    *LLAMA,
    *PYTHONIC,
    *MISTRAL,
    *PHI,
    *GRANITE,
    *DEEPSEEK,
    *GEMMA,
    *HARMONY,
    *HYPERCLOVAX,
]
