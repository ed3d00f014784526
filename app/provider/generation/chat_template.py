"""Turns messages into tokens with the chat template of the model.

A user's text cannot forge a turn: where a message spells a special token of the template, the
spelling is cut in two before tokenising, so that it becomes ordinary text. Everything else is
tokenised in one piece, exactly as in training.
"""

from __future__ import annotations

import datetime
import logging
import re
import secrets
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import chain, dropwhile
from typing import Any

from app.provider.errors import ModelNotLoadable, UnsupportedInput
from app.provider.formats.chat_templates import built_in
from app.provider.formats.thinking import MARKER_TEXTS, opened_by
from app.provider.generation.completeness import CompletenessCheck, answer_header, without_thinking
from app.provider.generation.jinja_sandbox import SandboxedTemplate, TemplateFailed
from app.provider.generation.message_form import MessageForm, map_texts, merge_texts
from app.provider.generation.model_tokenizer import ModelTokenizer
from app.provider.generation.plain_messages import content, plain_messages
from app.provider.generation.prepared_prompt import PreparedPrompt, prepare_prompt
from app.provider.generation.special_tokens import SpecialTokenEscaper
from app.provider.generation.template_probe import (
    MarkedConversation,
    TemplateProbe,
    TemplateUnusable,
)
from app.provider.generation.thinking import ThinkingStart
from app.provider.types import ImagePart, Message, Prompt, Role, TextPart

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


@dataclass(frozen=True, slots=True)
class ChatPrompt:
    """A conversation up to and including the header of the answer.

    ``parts`` are tokens with images between them; they begin and end with tokens.
    """

    parts: list[list[int] | ImagePart]
    thinking: ThinkingStart


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
    ) -> None:
        self._vocabulary = vocabulary
        self._image_text = image_text
        self._mark = f"\ufdd0{secrets.token_hex(8)}\ufdd0"
        self._escaper = SpecialTokenEscaper([], vocabulary.normalized)
        self._markers = frozenset(vocabulary.control_texts) & MARKER_TEXTS
        self._completeness = CompletenessCheck(
            lambda messages: self._fill(messages, self._form),
            lambda text: self._escaper.count(text),  # noqa: PLW0108 the escaper is replaced
        )
        self.notes: list[str] = []
        """Sentences: which template is used, and what is done so that no message is left out."""
        self._choose(contents)
        self._find_special_tokens()
        if self.notes:
            log.warning("chat template: %s", " ".join(self.notes))

    # ---------------------------------------------------------------- prompts

    def prepare(self, prompt: Prompt, context_length: int) -> PreparedPrompt:
        """The prompt of a model that takes text only; raises ContextOverflow, UnsupportedInput."""
        if any(message.images for message in prompt.messages):
            raise UnsupportedInput("This model reads text only: it cannot be shown pictures.")
        chat_prompt = self.prompt(prompt.messages)
        tokens = [token for part in chat_prompt.parts if isinstance(part, list) for token in part]
        return prepare_prompt(tokens, prompt, context_length, thinking=chat_prompt.thinking)

    def prompt(self, messages: Sequence[Message]) -> ChatPrompt:
        """Tokens and images of a conversation; raises UnsupportedInput."""
        messages = [merge_texts(message) for message in plain_messages(messages)]
        text, header = self._render(messages)
        pictures = [picture for message in messages for picture in message.images]
        runs = text.split(self._image_text or self._mark)
        if len(runs) != len(pictures) + 1:
            raise UnsupportedInput("The model's chat template has no place for these pictures.")
        parts: list[list[int] | ImagePart] = [self._with_prefix(runs[0])]
        for picture, run in zip(pictures, runs[1:], strict=True):
            parts += [picture, self._tokens(run)]
        return ChatPrompt(parts, self._thinking(messages, header))

    def _with_prefix(self, text: str) -> list[int]:
        """Tokenise the beginning of a prompt, with the tokens of every beginning exactly once.

        The template may write them, or a part of them, or white space before them.
        """
        prefix = list(self._vocabulary.prefix)
        spelled = tuple(filter(None, map(self._vocabulary.spelling, prefix)))
        bare = text.lstrip()
        tokens = self._tokens(bare if bare.startswith(spelled) else text)
        return prefix + list(dropwhile(lambda token: token in prefix, tokens))

    def _tokens(self, text: str) -> list[int]:
        first, *others = self._escaper.pieces(text)
        tokens = self._vocabulary.tokenize(first)
        for piece in others:
            tokens += self._tokenize_continuation(piece)
        return tokens

    def _tokenize_continuation(self, piece: str) -> list[int]:
        """Tokenise the second half of a word, where many tokenizers would put a space first."""
        before = self._vocabulary.tokenize("\n")
        tokens = self._vocabulary.tokenize(f"\n{piece}")
        begins = tokens[: len(before)] == before
        return tokens[len(before) :] if begins else self._vocabulary.tokenize(piece)

    def _thinking(self, messages: Sequence[Message], header: str) -> ThinkingStart:
        """How the answer begins: whether its header opens thinking, and which markers count."""
        opened = opened_by(header)
        asked = [message.text for message in messages if message.role != "assistant"]
        spoken = any(marker in text for marker in MARKER_TEXTS for text in asked)
        return ThinkingStart(opened.close if opened else "", self._markers, lone=not spoken)

    # ---------------------------------------------------------------- the template

    def _choose(self, contents: Sequence[frozenset[Role]]) -> None:
        """Take the default template, or else the first that can show a question."""
        given = self._vocabulary.chat_templates.items()
        sources = {name: source for name, source in given if source.strip()} or self._built_in()
        problems = {}
        for name in sorted(sources, key=lambda name: name != "default"):
            try:
                self._use(sources[name], contents)
            except (TemplateFailed, TemplateUnusable) as error:
                problems[name] = str(error)
                continue
            if name != "default":
                self.notes.insert(0, f"The chat template {name!r} is used.")
            return
        why = "; ".join(
            problem if name == "default" else f"{problem} (in {name!r})"
            for name, problem in problems.items()
        )
        raise ModelNotLoadable(f"The model's chat template cannot be used: {why}")

    def _built_in(self) -> dict[str, str]:
        found = built_in({*self._vocabulary.control_texts, *self._vocabulary.added_texts})
        self.notes.append(f"The files bring no chat template: the format {found.name!r} is used.")
        return {"default": found.source}

    def _use(self, source: str, contents: Sequence[frozenset[Role]]) -> None:
        self._source = source
        self._template = SandboxedTemplate(source)
        try:
            missing = self._find_form(contents, ("tools", "documents"))
        except TemplateUnusable:  # some walk over tools without asking whether there are any
            missing = self._find_form(contents, ())
        self.notes += self._form.adaptations()
        self.notes += [f"It cannot be made to show {what}." for what in missing]

    def _find_form(self, contents: Sequence[frozenset[Role]], absent: Sequence[str]) -> list[str]:
        """Find out how the template shows the most; return what it cannot be made to show.

        ``absent`` are variables that it is given as None.
        """
        self._given: dict[str, None] = dict.fromkeys(absent)
        probe = TemplateProbe(self._fill, self._image_text)
        self._form = probe.form(contents)
        return probe.missing

    def _find_special_tokens(self) -> None:
        """Find the special tokens that the template writes, and the one that ends an answer."""
        marked = MarkedConversation.of(("user", "assistant", "user"))
        text = self._filled(marked.messages)
        begun = self._filled(MarkedConversation.of(("system", "user")).messages)
        vocabulary = self._vocabulary
        tokens = chain(*map(vocabulary.tokenize, (text, begun, self._source)))
        written = {vocabulary.spelling(token) for token in tokens}  # some are spelled normalised
        added = (
            one for one in vocabulary.added_texts if {one, vocabulary.normalized(one)} & written
        )
        spellings = [*vocabulary.control_texts, *added, self._image_text]
        self._escaper = SpecialTokenEscaper(spellings, vocabulary.normalized, MARKER_TEXTS)
        after_answer = text.partition(marked.marks[1])[2].partition(marked.marks[2])[0]
        self._find_end(vocabulary.tokenize(after_answer.strip()))

    def _filled(self, messages: Sequence[Message]) -> str:
        """Render other texts; empty where the template refuses them."""
        try:
            return self._fill(messages, self._form)
        except TemplateFailed:
            return ""

    def _find_end(self, after_answer: Sequence[int]) -> None:
        """Make the control token after an answer end it, where the files name no other end.

        In harmony answers have several parts, each with such a token.
        """
        vocabulary = self._vocabulary
        if not after_answer or any(vocabulary.piece(token) is None for token in after_answer):
            return
        spelled = vocabulary.spelling(after_answer[0])
        if spelled in vocabulary.control_texts and "<|return|>" not in vocabulary.control_texts:
            vocabulary.end_with(spelled)

    def _render(self, messages: Sequence[Message]) -> tuple[str, str]:
        """The prompt as text, and its end: the header of the answer.

        Raises UnsupportedInput also when it does not show everything.
        """
        try:
            text = self._escaper.settle(self._fill(messages, self._form))
        except TemplateFailed as failure:
            raise UnsupportedInput(f"The model's chat template refuses: {failure}") from failure
        frame = self._completeness.frame(messages)
        header = answer_header(frame, self._given_texts(messages), text)
        if self._escaper.count(text) > frame.tokens:
            self._refuse_forged(messages, text)
        return text, header

    def _given_texts(self, messages: Sequence[Message]) -> Iterator[tuple[Role, str]]:
        """The texts given to the template, without thinking, which it may take out."""
        for message in messages:
            for part in message.parts:
                if isinstance(part, TextPart):
                    text = without_thinking(part.text) if message.role == "assistant" else part.text
                    yield message.role, self._escaper.escape(text)

    def _refuse_forged(self, messages: Sequence[Message], text: str) -> None:
        """Raise UnsupportedInput where a template makes a special token of a message's text.

        A template that takes words out of a text or lowers its case may do that. To tell, it is
        rendered again with texts that lack the brackets of special tokens.
        """
        neutral = [map_texts(message, self._escaper.neutral) for message in messages]
        frame = self._filled(neutral)
        if frame and self._escaper.count(text) > self._escaper.count(self._escaper.settle(frame)):
            raise UnsupportedInput(
                "The model's chat template would make a special token of a part of these texts."
            )

    def _fill(self, messages: Sequence[Message], form: MessageForm) -> str:
        return self._template.render(
            messages=self._turns(form.arrange(messages), form),
            add_generation_prompt=True,
            **self._given,
            **self._variables(),
        )

    def _variables(self) -> dict[str, str]:
        """The special tokens, empty where missing, and the date if the template needs it."""
        tokens = dict.fromkeys(("bos_token", "eos_token", "unk_token", "pad_token"), "")
        variables = tokens | dict(self._vocabulary.special_tokens)
        if "date_string" in self._source and not re.search(r"set\s+date_string", self._source):
            variables["date_string"] = datetime.date.today().strftime("%d %b %Y")
        return variables

    def _turns(self, messages: Sequence[Message], form: MessageForm) -> list[dict[str, Any]]:
        """The messages as the template gets them."""
        return [{"role": m.role, "content": self._content(m, form)} for m in messages]

    def _content(self, message: Message, form: MessageForm) -> str | list[dict[str, str]]:
        """A text or a list of parts; always a list where the template writes an image's text."""
        if message.role in form.listed or (self._image_text and message.images):
            return [self._item(part, message.role) for part in content(message)]
        return "".join(self._text(part, message.role) for part in content(message))

    def _item(self, part: TextPart | ImagePart, role: Role) -> dict[str, str]:
        if isinstance(part, ImagePart) and self._image_text:
            return {"type": "image"}
        return {"type": "text", "text": self._text(part, role)}

    def _text(self, part: TextPart | ImagePart, role: Role) -> str:
        """A text without special tokens; markers of thinking stay, for the template to remove."""
        if isinstance(part, ImagePart):
            return self._mark
        return self._escaper.escape(part.text, keep=role == "assistant")
