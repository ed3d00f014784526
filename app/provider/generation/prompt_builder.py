"""From messages to a tokenised prompt, for models with and without images."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Protocol

from app.provider.errors import UnsupportedInput
from app.provider.generation.chat_template import ChatTemplate
from app.provider.generation.model_tokenizer import ModelTokenizer
from app.provider.generation.prepared_prompt import (
    ImageSize,
    PlacedImage,
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
        if self.images is None and any(message.images for message in prompt.messages):
            raise UnsupportedInput("This model reads text only: it cannot be shown pictures.")
        chat = self.chat.prompt(prompt)
        tokens, images = self._placed(chat.parts)
        return prepare_prompt(tokens, prompt, context_length, images, chat.answer)

    def _placed(
        self, parts: list[list[int] | ImagePart]
    ) -> tuple[list[int], tuple[PlacedImage, ...]]:
        """The tokens, with those of images, and the images."""
        if self.images is None:
            return [token for part in parts if isinstance(part, list) for token in part], ()
        return place_images(self.images.framed(parts), self.images.measure)
