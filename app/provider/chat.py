"""Messages → tokens, through the chat template of the model.

User text cannot forge a turn: wherever a message spells a control token of the model, the
spelling is cut in two before tokenising, so the tokeniser reads it as ordinary text. Everything
else is tokenised in one piece, exactly as the model was trained.
"""

from __future__ import annotations

import re
import secrets
from collections.abc import Sequence
from typing import Any, Protocol, cast

from app.provider.errors import UnsupportedInput
from app.provider.template import SandboxedTemplate, TemplateFailed
from app.provider.types import ImagePart, Message, TextPart

CHATML = (
    "{% for message in messages %}<|im_start|>{{ message.role }}\n{{ message.content }}<|im_end|>\n"
    "{% endfor %}{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
PLAIN = (
    "{% for message in messages %}"
    "{{ {'system': '', 'user': 'Instruct: ', 'assistant': 'Output: '}[message.role] }}"
    "{{ message.content }}\n{% endfor %}{% if add_generation_prompt %}Output:{% endif %}"
)
"""For base models such as Phi-2, whose files carry no template."""


class Vocabulary(Protocol):
    """The tokeniser of a model and what its files say of conversations."""

    @property
    def chat_template(self) -> str | None:
        """Jinja source, if the model brings one."""

    @property
    def control_texts(self) -> Sequence[str]:
        """How the control tokens are spelled."""

    @property
    def bos_text(self) -> str:
        """How the token that begins a text is spelled; empty where there is none."""

    @property
    def eos_text(self) -> str:
        """The same of the token that ends one."""

    def tokenize(self, text: str, *, add_special: bool) -> list[int]:
        """Text → token ids; control tokens in ``text`` are recognised."""


class Chat:
    """The template and tokeniser of one model.

    ``image_text`` is what the template writes in the place of a picture that its message names as
    ``{"type": "image"}``. Without it templates are given plain text, with a mark for each picture.
    """

    def __init__(self, vocabulary: Vocabulary, image_text: str = "") -> None:
        self._vocabulary = vocabulary
        self._template = SandboxedTemplate(vocabulary.chat_template or _fallback(vocabulary))
        self._control = _spellings([*vocabulary.control_texts, *filter(None, [image_text])])
        self._cut = f"\ufdd0{secrets.token_hex(8)}\ufdd0"
        self._mark = f"\ufdd0{secrets.token_hex(8)}\ufdd0"
        self._image_text = image_text

    def tokens(self, messages: Sequence[Message]) -> list[int]:
        """Tokens up to and including the header of the answer; raises UnsupportedInput."""
        if any(message.images for message in messages):
            raise UnsupportedInput("This model reads text only: it cannot be shown pictures.")
        (tokens,) = self.parts(messages)
        return cast("list[int]", tokens)

    def parts(self, messages: Sequence[Message]) -> list[list[int] | ImagePart]:
        """The same with the pictures between the tokens; begins and ends with tokens.

        Raises UnsupportedInput.
        """
        text = self._render(messages)
        pictures = [picture for message in messages for picture in message.images]
        first, *rest = text.split(self._image_text or self._mark)
        if len(rest) != len(pictures):
            raise UnsupportedInput("The model's chat template has no place for these pictures.")
        add_bos = not text.startswith(self._vocabulary.bos_text or "\0")
        parts: list[list[int] | ImagePart] = [self._tokens(first, add_bos=add_bos)]
        for picture, run in zip(pictures, rest, strict=True):
            parts += [picture, self._tokens(run, add_bos=False)]
        return parts

    def _tokens(self, text: str, *, add_bos: bool) -> list[int]:
        tokens: list[int] = []
        for index, piece in enumerate(text.split(self._cut)):
            tokens += self._vocabulary.tokenize(piece, add_special=add_bos and index == 0)
        return tokens

    def _render(self, messages: Sequence[Message]) -> str:
        try:
            return self._fill(messages)
        except TemplateFailed as failure:
            merged = _without_system(messages)
            if merged is None:
                raise UnsupportedInput(f"The model's chat template refuses: {failure}") from failure
        try:
            return self._fill(merged)
        except TemplateFailed as failure:
            raise UnsupportedInput(f"The model's chat template refuses: {failure}") from failure

    def _fill(self, messages: Sequence[Message]) -> str:
        return self._template.render(
            messages=self._turns(messages),
            add_generation_prompt=True,
            bos_token=self._vocabulary.bos_text,
            eos_token=self._vocabulary.eos_text,
        )

    def _turns(self, messages: Sequence[Message]) -> list[dict[str, Any]]:
        """The conversation as the template is given it."""
        return [{"role": m.role, "content": self._content(m)} for m in messages]

    def _content(self, message: Message) -> str | list[dict[str, str]]:
        """What the template is given: a list only where it has to write a picture's place."""
        if self._image_text and message.images:
            return [self._item(part) for part in message.parts]
        pieces = (
            self._disarm(part.text) if isinstance(part, TextPart) else self._mark
            for part in message.parts
        )
        return "".join(pieces)

    def _item(self, part: TextPart | ImagePart) -> dict[str, str]:
        if isinstance(part, ImagePart):
            return {"type": "image"}
        return {"type": "text", "text": self._disarm(part.text)}

    def _disarm(self, text: str) -> str:
        """Cut every spelling of a control token after its first character."""
        return self._control.sub(lambda match: match.group() + self._cut, text)


def _spellings(texts: Sequence[str]) -> re.Pattern[str]:
    """Match the first character of every control token, overlapping ones included."""
    choices = "|".join(re.escape(text) for text in sorted(texts, key=len, reverse=True))
    return re.compile(f"(?=(?:{choices})).", re.DOTALL) if choices else re.compile(r"(?!)")


def _without_system(messages: Sequence[Message]) -> list[Message] | None:
    """Put the system text before the first question, for templates that know no system role."""
    if len(messages) < 2 or messages[0].role != "system":
        return None
    first = messages[1]
    system = TextPart(f"{messages[0].text}\n\n")
    return [Message(first.role, (system, *first.parts)), *messages[2:]]


def _fallback(vocabulary: Vocabulary) -> str:
    return CHATML if "<|im_start|>" in vocabulary.control_texts else PLAIN
