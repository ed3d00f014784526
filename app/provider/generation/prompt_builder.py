"""From messages to a tokenised prompt, for models with and without images."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from functools import cached_property
from typing import Protocol

from app.provider.errors import UnsupportedInput
from app.provider.generation.answer_tokens import spelled
from app.provider.generation.chat_template import ChatPrompt, ChatTemplate
from app.provider.generation.model_tokenizer import ModelTokenizer
from app.provider.generation.prepared_prompt import (
    AnswerForm,
    ImageSize,
    PlacedImage,
    PreparedPrompt,
    place_images,
    prepare_prompt,
)
from app.provider.generation.raw_prompt import RawPrompts
from app.provider.types import ImagePart, Prompt, Tokens


class ImageInput(Protocol):
    """What a model makes of images in a prompt. For any thread."""

    def measure(self, part: ImagePart) -> ImageSize:
        """Size and tokens of an image in a prompt; raises UnsupportedInput."""

    def framed(self, parts: Iterable[list[int] | ImagePart]) -> Iterable[list[int] | ImagePart]:
        """Put the tokens before and after each image that the model wants there."""


class PromptBuilder:
    """The chat template and tokenizer of a model; ``images`` is None for text-only models."""

    def __init__(
        self, vocabulary: ModelTokenizer, chat: ChatTemplate, images: ImageInput | None = None
    ) -> None:
        self.vocabulary = vocabulary
        self.chat = chat
        self._images = images
        self._raw = RawPrompts(vocabulary)

    def prepare(self, prompt: Prompt, context_length: int) -> PreparedPrompt:
        """Template and tokenise; raises ContextOverflow, UnsupportedInput.

        A raw prompt has neither thinking nor tool calls: its answer is one text.
        """
        if prompt.raw is None:
            return self._chat_prompt(prompt, context_length)
        tokens = self._raw.tokens(prompt.raw)
        if not tokens:
            raise UnsupportedInput("The prompt is empty: the model needs a text to continue.")
        return prepare_prompt(tokens, prompt, context_length, answer=AnswerForm(None))

    def tokenize(self, prompt: Prompt, *, special: bool) -> Tokens:
        """The tokens of a prompt; raises UnsupportedInput."""
        if prompt.raw is None:
            tokens, _ = self._placed(self._shown(prompt).parts)
        else:
            tokens = self._raw.tokens(prompt.raw, special=special)
        return Tokens(tuple(tokens), tuple(self._pieces(tokens)))

    def _pieces(self, tokens: Sequence[int]) -> Iterator[bytes]:
        """The bytes of each token; some tokenizers put a space before a text, which is left out."""
        begins = True
        for token in tokens:
            piece = spelled(token, self.vocabulary) if token >= 0 else b""  # none for images
            ordinary = token >= 0 and token not in self.vocabulary.prefix
            yield piece.removeprefix(b" ") if begins and ordinary and self._adds_space else piece
            begins = begins and not ordinary

    @cached_property
    def _adds_space(self) -> bool:
        first, *_ = self.vocabulary.tokenize("a")
        return (self.vocabulary.piece(first) or b"").startswith(b" ")

    def _chat_prompt(self, prompt: Prompt, context_length: int) -> PreparedPrompt:
        chat = self._shown(prompt)
        tokens, images = self._placed(chat.parts)
        return prepare_prompt(tokens, prompt, context_length, images, chat.answer)

    def _shown(self, prompt: Prompt) -> ChatPrompt:
        if self._images is None and any(message.images for message in prompt.messages):
            raise UnsupportedInput("This model reads text only: it cannot be shown pictures.")
        return self.chat.prompt(prompt)

    def _placed(
        self, parts: list[list[int] | ImagePart]
    ) -> tuple[list[int], tuple[PlacedImage, ...]]:
        """The tokens, with those of images, and the images."""
        if self._images is None:
            return [token for part in parts if isinstance(part, list) for token in part], ()
        return place_images(self._images.framed(parts), self._images.measure)
