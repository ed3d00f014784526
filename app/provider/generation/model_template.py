"""One chat template of a model: its form, and prompts that lack nothing."""

from __future__ import annotations

import datetime
import json
import re
from collections.abc import Iterator, Sequence
from typing import Any

from app.provider.errors import UnsupportedInput
from app.provider.formats.output_formats import PLAIN, choose_format
from app.provider.generation.completeness import CompletenessCheck, answer_header, given_texts
from app.provider.generation.jinja_sandbox import SandboxedTemplate, TemplateFailed
from app.provider.generation.json_values import map_strings
from app.provider.generation.message_form import MessageForm
from app.provider.generation.model_tokenizer import ModelTokenizer
from app.provider.generation.template_input import TemplateInput
from app.provider.generation.template_probe import (
    MarkedConversation,
    TemplateProbe,
    TemplateUnusable,
)
from app.provider.generation.tool_probe import ToolProbe
from app.provider.generation.turn_writer import Turn, TurnWriter
from app.provider.types import Message, Role, ToolCallPart, ToolResultPart

_CALLED = (
    Message.of("user", ""),
    Message("assistant", (ToolCallPart("call00001", "", "{}"),)),
    Message("tool", (ToolResultPart("call00001", ()),)),
)


class ModelTemplate:
    """A template in the form that keeps the most; raises TemplateFailed, TemplateUnusable.

    ``contents`` are the sets of roles whose content may have to be a list of parts, the likeliest
    first. ``notes`` say what is done so that no message is left out.
    """

    def __init__(
        self,
        source: str,
        vocabulary: ModelTokenizer,
        writer: TurnWriter,
        contents: Sequence[frozenset[Role]],
    ) -> None:
        self.source = source
        self.output_format = choose_format(source, vocabulary.control_texts, vocabulary.added_texts)
        self._vocabulary = vocabulary
        self._writer = writer
        self._template = SandboxedTemplate(source)
        self.form = MessageForm()
        try:
            missing = self._find_form(contents, ("tools", "documents"))
        except TemplateUnusable:  # some walk over tools without asking whether there are any
            missing = self._find_form(contents, ())
        probe = ToolProbe(self._fill, source, self.output_format)
        self.form = probe.form(self.form)
        if not probe.spells_calls(self.form):
            self.output_format = PLAIN
        self.notes = self.form.adaptations()
        self.notes += [f"It cannot be made to show {what}." for what in missing]
        self._completeness = CompletenessCheck(
            self._fill,
            lambda text: self._writer.escaper.count(text),  # noqa: PLW0108 it is replaced
        )

    def _find_form(self, contents: Sequence[frozenset[Role]], absent: Sequence[str]) -> list[str]:
        """Find out how the template shows the most; return what it cannot be made to show.

        ``absent`` are variables that it is given as None.
        """
        self._absent: dict[str, None] = dict.fromkeys(absent)
        probe = TemplateProbe(
            lambda messages, form: self._fill(TemplateInput(tuple(messages)), form),
            self._writer.image_text,
        )
        self.form = probe.form(contents)
        return probe.missing

    # ---------------------------------------------------------------- prompts

    def render(self, given: TemplateInput, form: MessageForm) -> tuple[str, str]:
        """The prompt as text, and its end: the header of the answer.

        Raises UnsupportedInput also when the prompt does not show everything.
        """
        escaper = self._writer.escaper
        try:
            text = escaper.settle(self._fill(given, form))
        except TemplateFailed as failure:
            raise UnsupportedInput(f"The model's chat template refuses: {failure}") from failure
        frame = self._completeness.frame(given, form)
        texts = (one._replace(text=escaper.escape(one.text)) for one in given_texts(given))
        header = answer_header(frame, texts, text)
        if escaper.count(text) > frame.tokens:
            self._refuse_forged(given, form, text)
        return text, header

    def _refuse_forged(self, given: TemplateInput, form: MessageForm, text: str) -> None:
        """Raise UnsupportedInput where a template makes a special token of a message's text.

        A template that takes words out of a text or lowers its case may do that. To tell, it is
        rendered again with texts that lack the brackets of special tokens.
        """
        escaper = self._writer.escaper
        frame = self._filled(given.map_texts(escaper.neutral), form)
        if frame and escaper.count(text) > escaper.count(escaper.settle(frame)):
            raise UnsupportedInput(
                "The model's chat template would make a special token of a part of these texts."
            )

    # ---------------------------------------------------------------- what it writes

    def samples(self) -> Iterator[str]:
        """Texts with the special tokens that the template writes."""
        yield self.source
        for roles in (("user", "assistant", "user"), ("system", "user")):
            yield self._filled(TemplateInput(MarkedConversation.of(roles).messages), self.form)
        if self.form.tools.structured:
            called = MarkedConversation.like(_CALLED).messages
            yield self._filled(TemplateInput(called).with_sample_tool(), self.form)

    def after_answer(self) -> str:
        """What the template writes between an answer and the next question."""
        marked = MarkedConversation.of(("user", "assistant", "user"))
        text = self._filled(TemplateInput(marked.messages), self.form)
        (_,), (answer,), (question,) = marked.marks
        return text.partition(answer)[2].partition(question)[0].strip()

    def _filled(self, given: TemplateInput, form: MessageForm) -> str:
        """Render other texts; empty where the template refuses them."""
        try:
            return self._fill(given, form)
        except TemplateFailed:
            return ""

    def _fill(self, given: TemplateInput, form: MessageForm) -> str:
        escape = self._writer.escaper.escape
        variables: dict[str, Any] = {**self._absent, **self._variables()}
        variables |= map_strings(given.variables, escape)
        turns = self._writer.turns(form.arrange(given.messages), form)
        if given.tools and form.tools.shows_tools:
            tools = [map_strings(tool, escape) for tool in given.tools]
            if form.tools.system_tools:
                turns = _with_system_tools(turns, tools)
            else:
                variables["tools"] = tools
        return self._template.render(messages=turns, add_generation_prompt=True, **variables)

    def _variables(self) -> dict[str, str]:
        """The special tokens, empty where missing, and the date if the template needs it."""
        tokens = dict.fromkeys(("bos_token", "eos_token", "unk_token", "pad_token"), "")
        variables = tokens | dict(self._vocabulary.special_tokens)
        if "date_string" in self.source and not re.search(r"set\s+date_string", self.source):
            variables["date_string"] = datetime.date.today().strftime("%d %b %Y")
        return variables


def _with_system_tools(turns: list[Turn], tools: list[Any]) -> list[Turn]:
    """Put tools into the first system message, as Phi-4-mini reads them."""
    described = json.dumps([tool["function"] for tool in tools], ensure_ascii=False)
    begins = bool(turns) and turns[0]["role"] == "system"
    first, others = (turns[0], turns[1:]) if begins else ({"role": "system", "content": ""}, turns)
    return [{**first, "tools": described}, *others]
