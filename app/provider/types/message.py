"""Messages of a conversation and their parts."""

from __future__ import annotations

import base64
from typing import Literal

from app.provider.types.value import Value

Role = Literal["system", "developer", "user", "assistant", "tool"]
"""``developer`` is a system text that came later; ``tool`` holds the results of tool calls."""


class TextPart(Value, frozen=True):
    """A stretch of text inside a message."""

    text: str


class ImageNotes(Value, frozen=True):
    """What other programs found in an image, for models that were trained with such notes.

    ``ocr`` is text in the image, ``lens_keywords`` what it shows, ``lens_local_keywords`` what it
    shows where.
    """

    ocr: str = ""
    lens_keywords: str = ""
    lens_local_keywords: str = ""


class ImagePart(Value, frozen=True):
    """An image inside a message: a PNG in RGB, upright, identified by its SHA-256 (hex).

    ``width`` and ``height`` are its pixels. ``mime`` is the type of the file it was made from.
    """

    content: bytes
    sha256: str
    width: int
    height: int
    mime: str = "image/png"
    notes: ImageNotes = ImageNotes()

    @property
    def data_url(self) -> str:
        """The image as a ``data:`` URL."""
        return f"data:image/png;base64,{base64.b64encode(self.content).decode()}"

    def __repr__(self) -> str:
        return f"ImagePart({self.sha256[:8]}, {self.width}x{self.height})"  # no bytes in logs


class ThinkingPart(Value, frozen=True):
    """What the model thought before it answered."""

    text: str


class ToolCallPart(Value, frozen=True):
    """A call of a tool by the model: ``arguments`` are a JSON object as the model wrote it.

    ``id`` names the call in its result; it is the client's or the server's, never a row's.
    """

    id: str
    name: str
    arguments: str


class ToolResultPart(Value, frozen=True):
    """What the tool call ``call_id`` returned, or why it failed (``is_error``)."""

    call_id: str
    content: tuple[TextPart | ImagePart, ...]
    is_error: bool = False

    @property
    def text(self) -> str:
        """All text of the result."""
        return "".join(part.text for part in self.content if isinstance(part, TextPart))


Part = TextPart | ImagePart | ThinkingPart | ToolCallPart | ToolResultPart


class Message(Value, frozen=True):
    """A message of a conversation: its role and its parts."""

    role: Role
    parts: tuple[Part, ...]

    @classmethod
    def of(cls, role: Role, text: str) -> Message:
        """Make a message that is one piece of text."""
        return cls(role, (TextPart(text),))

    @property
    def text(self) -> str:
        """All text of the message, without thinking, tool calls and tool results."""
        return "".join(part.text for part in self.parts if isinstance(part, TextPart))

    @property
    def instructs(self) -> bool:
        """Whether it says how to answer: its role is system or developer."""
        return self.role in {"system", "developer"}

    @property
    def images(self) -> tuple[ImagePart, ...]:
        """All images of the message, those of tool results included."""
        return tuple(image for part in self.parts for image in _images_of(part))


def _images_of(part: Part) -> tuple[ImagePart, ...]:
    if isinstance(part, ToolResultPart):
        return tuple(one for one in part.content if isinstance(one, ImagePart))
    return (part,) if isinstance(part, ImagePart) else ()
