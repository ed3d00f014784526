"""What a chat model can do, as far as its card tells: nothing is loaded for it."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache
from typing import NamedTuple

from app.provider.card import ModelCard
from app.provider.formats.output_formats import choose_format
from app.provider.formats.thinking import MARKER_TEXTS

_TOOLS = re.compile(r"\btools\b")
_UNCONSTRAINED = frozenset({"echo"})
"""Engines that draw no tokens, so that nothing can be enforced."""


@dataclass(frozen=True, slots=True)
class Capabilities:
    """What a model takes and gives.

    ``tools`` that the chat template has no place for are described in the system text, unless they
    are ``native_tools``. ``output_format`` names the format of ``app.provider.formats`` in which it
    spells calls, empty where its template alone does not tell.
    """

    vision: bool
    tools: bool
    native_tools: bool
    thinking: bool
    structured_outputs: bool
    output_format: str


def capabilities(card: ModelCard) -> Capabilities:
    """Those of a model."""
    chats = "chat" in card.tasks
    drawn = chats and card.engine not in _UNCONSTRAINED
    declared = dict(card.remote.features) if card.remote else {}
    template = _of_template(card.chat_template if chats else "")
    return Capabilities(
        vision=card.vision is not None,
        tools=drawn and declared.get("tools", True) is not False,
        native_tools=template.tools,
        thinking=template.thinking,
        structured_outputs=drawn and declared.get("json_schema", True) is not False,
        output_format=template.output_format,
    )


class _TemplateFacts(NamedTuple):
    tools: bool
    thinking: bool
    output_format: str


@lru_cache(maxsize=256)
def _of_template(source: str) -> _TemplateFacts:
    """What a chat template tells; many models have the same one."""
    return _TemplateFacts(
        tools=bool(_TOOLS.search(source)),
        thinking=any(marker in source for marker in MARKER_TEXTS),
        output_format=choose_format(source, (), ()).name if source else "",
    )
