"""Finds out how a chat template takes tools, their calls and results, and earlier thinking.

Many templates take them in silence and show nothing of them. So marked ones are rendered.
"""

from __future__ import annotations

import re
import secrets
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from itertools import product
from typing import Any

from app.provider.formats.call_syntax import OutputFormat
from app.provider.formats.output_formats import PLAIN
from app.provider.generation.jinja_sandbox import TemplateFailed
from app.provider.generation.message_form import MessageForm
from app.provider.generation.template_input import TemplateInput, tool_object
from app.provider.generation.template_probe import MarkedConversation
from app.provider.types import (
    Message,
    Role,
    TextPart,
    ThinkingPart,
    Tool,
    ToolCallPart,
    ToolResultPart,
)

_PATIENCE = 1.0
"""Seconds. When a failing rendering takes longer, no further forms are tried."""

_THINKING_KEYS = ("reasoning_content", "thinking", "reasoning")

_ASKED = Message.of("user", "?")
_CALL, _OTHER_CALL = ToolCallPart("call00001", "", "{}"), ToolCallPart("call00002", "", "{}")
_RESULT = Message("tool", (ToolResultPart("call00001", ()),))
_OTHER_RESULT = Message("tool", (ToolResultPart("call00002", ()),))
_CALLED = (_ASKED, Message("assistant", (_CALL,)), _RESULT)
_ANSWERED = (*_CALLED, Message.of("assistant", "!"), _ASKED)
_TWICE = (_ASKED, Message("assistant", (_CALL, _OTHER_CALL)), _RESULT, _OTHER_RESULT)
_SPOKEN = (_ASKED, Message("assistant", (TextPart("!"), _CALL)), _RESULT)


class _TooSlow(Exception):
    pass


class ToolProbe:
    """Finds the ``ToolForm`` of a template. ``fill`` renders; raises TemplateFailed."""

    def __init__(
        self,
        fill: Callable[[TemplateInput, MessageForm], str],
        source: str,
        output_format: OutputFormat,
    ) -> None:
        self._fill = fill
        self._format = output_format
        self._source = source
        self._tools: tuple[dict[str, Any], ...] = ()

    def form(self, form: MessageForm) -> MessageForm:
        """``form`` with what is found out about tools."""
        for step in (self._with_tools, self._with_calls, self._with_thinking, self._with_developer):
            try:
                form = step(form)
            except _TooSlow:
                return form
        return form

    def spells_calls(self, form: MessageForm) -> bool:
        """Whether the template begins calls as the format does; true where it writes none.

        Families with channels spell calls differently in prompts.
        """
        if not form.tools.structured or self._format.channels:
            return True
        marked = MarkedConversation.like(form.tools.arrange(_CALLED))
        text = "".join(self._try(TemplateInput(marked.messages, self._tools), form).split())
        (name, _), calls = marked.marks[1], self._format.calls
        by_name, by_arguments = f'{{"{calls.name_key}":"{name}', f'{{"{calls.arguments_key}":{{'
        begun = (by_name, by_arguments) if calls.kind == "json" else (name,)
        return any("".join(calls.opening.split()) + one in text for one in begun)

    # ---------------------------------------------------------------- steps

    def _with_tools(self, form: MessageForm) -> MessageForm:
        """Whether the template describes tools: their names, what they do, their parameters."""
        in_system = re.search(r"""\[['"]tools['"]\]""", self._source) is not None
        marks = [f"mark{secrets.token_hex(6)}" for _ in range(3)]
        schema = f'{{"properties": {{"{marks[2]}": {{"type": "string", "description": "x"}}}}}}'
        tool = tool_object(Tool(marks[0], marks[1], schema))
        conversations = ((_ASKED,), (Message.of("system", "!"), _ASKED))
        for system, messages in product({False, in_system}, conversations):
            tools = replace(form.tools, shows_tools=True, system_tools=system)
            shown = replace(form, tools=tools)
            text = self._try(TemplateInput(messages, (tool,)), shown)
            if all(mark in text for mark in marks):
                self._tools = (tool,)
                return shown
        return form

    def _with_calls(self, form: MessageForm) -> MessageForm:
        candidates = list(_candidates(form))
        for clean in (True, False):
            for one in candidates:
                if self._keeps(_CALLED, one, clean) and self._keeps(_ANSWERED, one, clean):
                    return self._with_more(one)
        return self._with_spelling(form)

    def _with_spelling(self, form: MessageForm) -> MessageForm:
        """Calls in the texts of answers, where the family's format is known."""
        if self._format is PLAIN or not form.tools.shows_tools:
            return form
        for own_results in (True, False):
            tools = replace(form.tools, spelling=self._format.calls, own_results=own_results)
            spelled = replace(form, tools=tools)
            if self._keeps(_CALLED, spelled) and self._keeps(_ANSWERED, spelled):
                return spelled
        return form

    def _with_more(self, form: MessageForm) -> MessageForm:
        """With two calls in a message, and with a text beside a call."""
        one_call = replace(form, tools=replace(form.tools, calls_apart=True))
        if not self._keeps(_TWICE, form) and self._keeps(_TWICE, one_call):
            form = one_call
        no_text = replace(form, tools=replace(form.tools, texts_apart=True))
        return form if self._keeps(_SPOKEN, form) or not self._keeps(_SPOKEN, no_text) else no_text

    def _with_thinking(self, form: MessageForm) -> MessageForm:
        """The field whose text the template shows, if only until the next question."""
        thought = ThinkingPart("")
        conversations = [(_ASKED, Message("assistant", (thought, TextPart("!"))), _ASKED)]
        if form.tools.structured:
            conversations.insert(0, (_ASKED, Message("assistant", (thought, _CALL)), _RESULT))
        for key in (key for key in _THINKING_KEYS if key in self._source):
            keyed = replace(form, tools=replace(form.tools, thinking_key=key))
            if any(self._shows_thinking(messages, keyed) for messages in conversations):
                return keyed
        return form

    def _with_developer(self, form: MessageForm) -> MessageForm:
        if form.merges_system or not re.search(r"""['"]developer['"]""", self._source):
            return form
        known = replace(form, tools=replace(form.tools, developer=True))
        shown = self._keeps((Message.of("developer", "!"), _ASKED), known)
        return known if shown else form

    # ---------------------------------------------------------------- one rendering

    def _keeps(self, messages: Sequence[Message], form: MessageForm, clean: bool = False) -> bool:
        """Whether the template shows all of this conversation.

        ``clean``: the arguments of calls are not in JSON twice, nor as Python writes them.
        """
        marked = MarkedConversation.like(form.tools.arrange(messages))
        text = self._try(TemplateInput(marked.messages, self._tools), form)
        if marked.first_missing(text) is not None:
            return False
        return not (clean and re.search(r"""\\\\"key\\\\"|'key':""", text))

    def _shows_thinking(self, messages: Sequence[Message], form: MessageForm) -> bool:
        marked = MarkedConversation.like(form.tools.arrange(messages))
        thoughts = [
            part.text
            for message in marked.messages
            for part in message.parts
            if isinstance(part, ThinkingPart)
        ]
        text = self._try(TemplateInput(marked.messages, self._tools), form)
        return marked.first_missing(text) is None and all(one in text for one in thoughts)

    def _try(self, given: TemplateInput, form: MessageForm) -> str:
        """Render; nothing where the template refuses."""
        begun = time.monotonic()
        try:
            return self._fill(given, form)
        except TemplateFailed as error:
            if time.monotonic() - begun > _PATIENCE:
                raise _TooSlow from error
            return ""


def _candidates(form: MessageForm) -> Iterator[MessageForm]:
    """Forms of calls and results, those that most templates take first."""
    with_results: set[frozenset[Role]] = {form.listed}
    if form.listed:
        with_results.add(form.listed | {"tool"})
    for named, text, empty in product((False, True), repeat=3):
        tools = replace(
            form.tools,
            structured=True,
            named_ids=named,
            string_arguments=text,
            null_content=empty,
        )
        for listed in sorted(with_results, key=len):
            yield replace(form, listed=listed, tools=tools)
