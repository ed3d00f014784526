"""From messages to a tokenised prompt, for models with and without images."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Protocol

from app.provider.generation.chat_template import ChatTemplate
from app.provider.generation.model_tokenizer import ModelTokenizer
from app.provider.generation.prepared_prompt import (
    ImageSize,
    PreparedPrompt,
    place_images,
    prepare_prompt,
)
from app.provider.types import ImagePart, Prompt


class ImageInput(Protocol):
    """What a model makes of images in a prompt. For any thread."""

    def measure(self, part: ImagePart) -> ImageSize:
        """Size and tokens of an image in a prompt; raises UnsupportedInput."""

    def framed(self, parts: Iterable[list[int] | ImagePart]) -> Iterable[list[int] | ImagePart]:
        """Put the tokens before and after each image that the model wants there."""


@dataclass(frozen=True, slots=True)
class PromptBuilder:
    """The chat template and tokenizer of a model; ``images`` is None for text-only models."""

    vocabulary: ModelTokenizer
    chat: ChatTemplate
    images: ImageInput | None = None

    def prepare(self, prompt: Prompt, context_length: int) -> PreparedPrompt:
        """Template and tokenise; raises ContextOverflow, UnsupportedInput."""
        if self.images is None:
            return self.chat.prepare(prompt, context_length)
        chat_prompt = self.chat.prompt(prompt.messages)
        tokens, images = place_images(self.images.framed(chat_prompt.parts), self.images.measure)
        return prepare_prompt(tokens, prompt, context_length, images, chat_prompt.thinking)
