"""Chat templates for files that bring none, chosen by the tokens that a family's turns are made of.

Only plain families are here: a role, a text, an end. Written from the models' published formats.
"""

# ruff: noqa: RUF001 the bars of DeepSeek's tokens are full-width

from __future__ import annotations

from collections.abc import Collection
from typing import NamedTuple


class BuiltIn(NamedTuple):
    """A template, and the tokens that a vocabulary has if it was trained with it."""

    name: str
    tokens: tuple[str, ...]
    source: str


def _turns(before: str, between: str, after: str, answer: str = "assistant") -> str:
    """A template of turns: ``before`` role ``between`` text ``after``."""
    role = f"{{{{ '{answer}' if message.role == 'assistant' else message.role }}}}"
    return (
        f"{{% for message in messages %}}{before}{role}{between}{{{{ message.content }}}}{after}"
        f"{{% endfor %}}{{% if add_generation_prompt %}}{before}{answer}{between}{{% endif %}}"
    )


_INSTRUCT = (
    "{% for message in messages %}"
    "{{ {'system': '', 'user': 'Instruct: ', 'assistant': 'Output: '}[message.role] }}"
    "{{ message.content }}\n{% endfor %}{% if add_generation_prompt %}Output:{% endif %}"
)
_GEMMA = (
    "{% for message in messages %}"
    "{% if message.role == 'system' %}{{ raise_exception('There is no system role.') }}{% endif %}"
    "<start_of_turn>{{ 'model' if message.role == 'assistant' else message.role }}\n"
    "{{ message.content | trim }}<end_of_turn>\n"
    "{% endfor %}{% if add_generation_prompt %}<start_of_turn>model\n{% endif %}"
)
_DEEPSEEK = (
    "{% for message in messages %}{% if message.role == 'user' %}<｜User｜>{{ message.content }}"
    "{% elif message.role == 'assistant' %}<｜Assistant｜>{{ message.content }}"
    "<｜end▁of▁sentence｜>{% else %}{{ message.content }}{% endif %}{% endfor %}"
    "{% if add_generation_prompt %}<｜Assistant｜>{% endif %}"
)

PLAIN = BuiltIn("plain", (), _INSTRUCT)
"""For base models such as Phi-2, whose vocabularies know no turns."""

BUILT_IN = (
    BuiltIn("chatml", ("<|im_start|>", "<|im_end|>"), _turns("<|im_start|>", "\n", "<|im_end|>\n")),
    BuiltIn("gemma", ("<start_of_turn>", "<end_of_turn>"), _GEMMA),
    BuiltIn(
        "llama3",
        ("<|start_header_id|>", "<|end_header_id|>", "<|eot_id|>"),
        _turns("<|start_header_id|>", "<|end_header_id|>\n\n", "<|eot_id|>"),
    ),
    BuiltIn("phi3", ("<|user|>", "<|assistant|>", "<|end|>"), _turns("<|", "|>\n", "<|end|>\n")),
    BuiltIn(
        "granite",
        ("<|start_of_role|>", "<|end_of_role|>"),
        _turns("<|start_of_role|>", "<|end_of_role|>", "<|end_of_text|>\n"),
    ),
    BuiltIn("exaone", ("[|user|]", "[|assistant|]"), _turns("[|", "|]", "[|endofturn|]\n")),
    BuiltIn(
        "glm4", ("[gMASK]", "<|user|>", "<|assistant|>"), "[gMASK]<sop>" + _turns("<|", "|>\n", "")
    ),
    BuiltIn("deepseek", ("<｜User｜>", "<｜Assistant｜>"), _DEEPSEEK),
    PLAIN,
)
"""The first whose tokens a vocabulary has is taken; the last one asks for none."""


def built_in(spellings: Collection[str]) -> BuiltIn:
    """The template for a vocabulary with these control and added tokens."""
    return next(one for one in BUILT_IN if all(token in spellings for token in one.tokens))
