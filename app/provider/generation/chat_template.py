"""Turns messages into tokens with the chat template of the model.

A user's text cannot forge a turn: where a message spells a special token of the template, the
spelling is cut in two before tokenising, so that it becomes ordinary text. Everything else is
tokenised in one piece, exactly as in training.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import chain

from app.provider.errors import ModelNotLoadable, UnsupportedInput
from app.provider.formats.call_syntax import OutputFormat
from app.provider.formats.chat_templates import built_in
from app.provider.formats.output_formats import HERMES, PLAIN, format_named
from app.provider.formats.thinking import MARKER_TEXTS, opened_by
from app.provider.generation.jinja_sandbox import TemplateFailed
from app.provider.generation.message_form import MessageForm, merge_texts
from app.provider.generation.model_template import ModelTemplate
from app.provider.generation.model_tokenizer import ModelTokenizer
from app.provider.generation.prepared_prompt import AnswerForm
from app.provider.generation.prompt_tokens import PromptTokenizer
from app.provider.generation.special_tokens import SpecialTokenEscaper
from app.provider.generation.template_input import TemplateInput, with_schema
from app.provider.generation.template_probe import TemplateUnusable
from app.provider.generation.thinking import ThinkingStart
from app.provider.generation.turn_writer import TurnWriter
from app.provider.types import ImagePart, Message, Prompt, Role, TextPart, ToolResultPart

log = logging.getLogger(__name__)

_ROLES: tuple[Role, ...] = ("system", "user", "assistant")
_CONTENTS: tuple[frozenset[Role], ...] = (
    frozenset(),
    frozenset(_ROLES),
    frozenset({"user"}),
    frozenset({"user", "assistant"}),
    frozenset({"user", "system"}),
)
"""Roles whose content a template may want as a list of parts."""

_FOR_TOOLS = "tool_use"
"""The name of a second template that some models bring, for prompts with tools."""

_CALL_ENDS = frozenset({"<|eom_id|>", "<|call|>"})
"""Tokens after a tool call, with which an answer ends even if the files do not say so."""


@dataclass(frozen=True, slots=True)
class ChatPrompt:
    """A conversation up to and including the header of the answer.

    ``parts`` are tokens with images between them; they begin and end with tokens.
    """

    parts: list[list[int] | ImagePart]
    answer: AnswerForm


@dataclass(frozen=True, slots=True)
class RenderedPrompt:
    """A prompt as text, the end of it that is the header of the answer, and its messages."""

    text: str
    header: str
    messages: tuple[Message, ...]
    format: OutputFormat | None = None

    @property
    def images(self) -> list[ImagePart]:
        """The images of all messages, in order."""
        return [image for message in self.messages for image in message.images]


@dataclass(frozen=True, slots=True)
class _Attempt:
    """A way to write a prompt: a template, the form of tool calls, and the format of the answer."""

    template: ModelTemplate
    form: MessageForm
    given: TemplateInput
    format: OutputFormat | None = None


class ChatTemplate:
    """The template and tokenizer of one model; raises ModelNotLoadable when they do not fit.

    ``image_text`` is what the template writes for a part ``{"type": "image"}``. Without it,
    templates get plain text with a mark for each image. ``contents`` are the sets of roles whose
    content may have to be a list of parts, the likeliest first.
    """

    def __init__(
        self,
        vocabulary: ModelTokenizer,
        image_text: str = "",
        contents: Sequence[frozenset[Role]] = _CONTENTS,
        writer: type[TurnWriter] = TurnWriter,
    ) -> None:
        self._vocabulary = vocabulary
        self._tokenizer = PromptTokenizer(vocabulary)
        self._writer = writer(vocabulary, image_text)
        self._markers = frozenset(vocabulary.control_texts) & MARKER_TEXTS
        self.notes: list[str] = []
        """Sentences: which template is used, and what is done so that no message is left out."""
        self._template = self._choose(contents)
        self._tool_template = self._choose_for_tools(contents)
        self.tool_notes = self._tool_template.form.tools.adaptations()
        """Sentences: what is done with tools."""
        self._find_special_tokens()
        if self.notes:
            log.warning("chat template: %s", " ".join(self.notes))

    # ---------------------------------------------------------------- prompts

    def prompt(self, prompt: Prompt) -> ChatPrompt:
        """Tokens and images of a conversation; raises UnsupportedInput."""
        rendered = self.render(prompt)
        first, *runs = self._writer.split_images(rendered.text)
        pieces = self._writer.escaper.pieces
        parts: list[list[int] | ImagePart] = [self._tokenizer.beginning(pieces(first))]
        for picture, run in zip(rendered.images, runs, strict=True):
            parts += [picture, self._tokenizer.tokens(pieces(run))]
        return ChatPrompt(parts, self._answer_form(rendered))

    def render(self, prompt: Prompt) -> RenderedPrompt:
        """The prompt as text, with all of the conversation; raises UnsupportedInput.

        Where it lacks something, tool calls are written in other forms.
        """
        *attempts, last = self._attempts(prompt)
        for attempt in attempts:
            try:
                return self._attempt(attempt)
            except UnsupportedInput:
                continue
        return self._attempt(last)

    def _attempts(self, prompt: Prompt) -> Iterator[_Attempt]:
        """The ways to write a prompt, the best first."""
        given = TemplateInput.of(prompt)
        if prompt.constraint and prompt.constraint.kind == "json_schema":
            given = given.with_messages(with_schema(given.messages, prompt.constraint.source))
        template = self._tool_template if given.tools else self._template
        named = prompt.output_format
        found = format_named(named) if named else template.output_format
        if not given.tools or (template.form.tools.shows_tools and found is not PLAIN):
            shown = found if given.tools or found.channels else None
            for form in template.form.alternatives(given.messages):
                yield _Attempt(template, form, given, shown)
        if given.tools:
            taught = found if found.channels else HERMES
            block = given.with_tool_block(prompt)
            for form in self._template.form.without_tools().alternatives(block.messages):
                yield _Attempt(self._template, form, block, taught)

    def _attempt(self, attempt: _Attempt) -> RenderedPrompt:
        arranged = tuple(map(merge_texts, attempt.form.tools.arrange(attempt.given.messages)))
        given = attempt.given.with_messages(arranged)
        text, header = attempt.template.render(given, attempt.form)
        rendered = RenderedPrompt(text, header, arranged, attempt.format)
        if len(self._writer.split_images(text)) != len(rendered.images) + 1:
            raise UnsupportedInput("The model's chat template has no place for these pictures.")
        return rendered

    def _answer_form(self, rendered: RenderedPrompt) -> AnswerForm:
        thinking, found = self._thinking(rendered), rendered.format
        if found is None:
            return AnswerForm(thinking)
        return AnswerForm(thinking, found.name, found.kept(self._vocabulary.control_texts))

    def _thinking(self, rendered: RenderedPrompt) -> ThinkingStart:
        """How the answer begins: whether its header opens thinking, and which markers count."""
        opened = opened_by(rendered.header)
        asked = [text for message in rendered.messages for text in _asked(message)]
        spoken = any(marker in text for marker in MARKER_TEXTS for text in asked)
        controls, found = self._vocabulary.control_texts, rendered.format
        call = found.call_token(controls) if found else ""
        closing = opened.close if opened else ""
        return ThinkingStart(closing, self._markers, lone=not spoken, call=call)

    # ---------------------------------------------------------------- the templates

    def _choose(self, contents: Sequence[frozenset[Role]]) -> ModelTemplate:
        """Take the default template, or else the first that can show a question."""
        given = self._vocabulary.chat_templates.items()
        sources = {name: source for name, source in given if source.strip()} or self._built_in()
        problems = {}
        for name in sorted(sources, key=lambda name: name != "default"):
            try:
                found = self._read(sources[name], contents)
            except (TemplateFailed, TemplateUnusable) as error:
                problems[name] = str(error)
                continue
            self.notes += found.notes
            if name != "default":
                self.notes.insert(0, f"The chat template {name!r} is used.")
            return found
        why = "; ".join(
            problem if name == "default" else f"{problem} (in {name!r})"
            for name, problem in problems.items()
        )
        raise ModelNotLoadable(f"The model's chat template cannot be used: {why}")

    def _choose_for_tools(self, contents: Sequence[frozenset[Role]]) -> ModelTemplate:
        """The template for prompts with tools, where it is another one."""
        source = self._vocabulary.chat_templates.get(_FOR_TOOLS, "")
        if self._template.form.tools.shows_tools or source.strip() in {"", self._template.source}:
            return self._template
        try:
            found = self._read(source, contents)
        except (TemplateFailed, TemplateUnusable):
            return self._template
        return found if found.form.tools.shows_tools else self._template

    def _read(self, source: str, contents: Sequence[frozenset[Role]]) -> ModelTemplate:
        return ModelTemplate(source, self._vocabulary, self._writer, contents)

    def _built_in(self) -> dict[str, str]:
        found = built_in({*self._vocabulary.control_texts, *self._vocabulary.added_texts})
        self.notes.append(f"The files bring no chat template: the format {found.name!r} is used.")
        return {"default": found.source}

    def _find_special_tokens(self) -> None:
        """Find the special tokens that the templates write, and those that end an answer."""
        vocabulary = self._vocabulary
        samples = (*self._template.samples(), *self._tool_template.samples())
        tokens = chain(*map(vocabulary.tokenize, samples))
        written = {vocabulary.spelling(token) for token in tokens}  # some are spelled normalised
        added = (
            one for one in vocabulary.added_texts if {one, vocabulary.normalized(one)} & written
        )
        spellings = [*vocabulary.control_texts, *added, self._writer.image_text]
        after_answer = vocabulary.tokenize(self._template.after_answer())
        self._writer.escaper = SpecialTokenEscaper(spellings, vocabulary.normalized, MARKER_TEXTS)
        self._find_end(after_answer)

    def _find_end(self, after_answer: Sequence[int]) -> None:
        """Make the control token after an answer end it, where the files name no other end.

        In harmony answers have several parts, each with such a token.
        """
        vocabulary = self._vocabulary
        found = self._template.output_format
        for text in _CALL_ENDS.intersection(vocabulary.control_texts):
            vocabulary.end_with(text)
        in_parts = set(found.answer_ends).intersection(vocabulary.control_texts)
        if in_parts:
            vocabulary.end_with(found.part_end, ends=False)
        if not after_answer or any(vocabulary.piece(token) is None for token in after_answer):
            return
        spelled = vocabulary.spelling(after_answer[0])
        between_parts = in_parts and spelled == found.part_end
        if "<|return|>" in vocabulary.control_texts or between_parts:
            return
        if spelled in vocabulary.control_texts:
            vocabulary.end_with(spelled)


def _asked(message: Message) -> Iterator[str]:
    """The texts of a message that is not the model's."""
    if message.role == "assistant":
        return
    for part in message.parts:
        if isinstance(part, TextPart | ToolResultPart):
            yield part.text
