"""From v5's wire models to the domain: questions with images."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import partial
from typing import ClassVar

from app.chat.request import TurnRequest
from app.conversations.ask_with_images import DecodeImages
from app.media.image_source import Detail
from app.media.intake import Intake
from app.media.picture import Upload
from app.v4.services.translate import turn_request
from app.v5.models.chat import ChatRequest
from app.v5.services.images import decode_images


@dataclass(frozen=True, slots=True)
class Question:
    """A question as the client sent it: a JSON body, or a form with files of that ``detail``."""

    body_type: ClassVar[type[ChatRequest]] = ChatRequest

    body: ChatRequest
    uploads: tuple[Upload, ...] = field(default=(), repr=False)
    detail: Detail = "auto"

    @property
    def request(self) -> TurnRequest:
        """The request without the images."""
        return turn_request(self.body)

    def decoder(self, intake: Intake) -> DecodeImages | None:
        """A function that decodes the images; None if there are none."""
        if not self.body.images and not self.uploads:
            return None
        return partial(decode_images, intake, self.body.images, self.uploads, self.detail)
