"""A conversation with its pictures as a file: version 2 of what v4 exports.

A conversation without pictures is still version 1, which v4 imports too.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field

from app.v4.models import transfer as v4
from app.v4.models.transfer import IMPORT_EXAMPLES, Count
from app.v5.models.chat import RED_CIRCLE
from app.v5.models.images import Note
from app.web.schema import Plain, WireModel

MOST_IMAGES = 256
"""Different pictures of one file."""

Sha256 = Annotated[Plain, Field(min_length=1, max_length=100)]


class ExportQuery(v4.ExportQuery):
    """What follows the question mark."""

    images: bool = Field(True, description="With the pictures; only where the format is json.")


class TransferredPicture(WireModel):
    """A picture that messages refer to."""

    sha256: Sha256 = Field(description="For references inside the file: its name there.")
    base64: str = Field(description="The PNG, or any other image file.")


class TransferredImage(WireModel):
    """A picture of a question, and the file that was sent."""

    sha256: Sha256 = Field(description="One of the pictures of the file.")
    mime: Annotated[Plain, Field(max_length=100)] = "image/png"
    width: Count = 0
    height: Count = 0
    bytes: Count = 0
    ocr: Note = ""
    lens_keywords: Note = ""
    lens_local_keywords: Note = ""


class TransferredSeen(WireModel):
    """A picture as the model saw it."""

    sha256: Sha256
    width: Count
    height: Count
    tokens: Count


class TransferredMessage(v4.TransferredMessage):
    """A question or an answer; those it follows stand before it."""

    images: list[TransferredImage] = Field([], description="Only questions have some.")
    seen: list[TransferredSeen] = Field([], description="Pictures that an answer's model saw.")


class TransferredConversation(v4.TransferredConversation):
    """A tree of messages."""

    # The list is never changed, so its items may have a narrower type than those of v4.
    messages: list[TransferredMessage] = Field(  # type: ignore[assignment]
        description="Of all branches, parents first."
    )
    images: Annotated[list[TransferredPicture], Field(max_length=MOST_IMAGES)] = Field(
        [], description="Each picture once."
    )


class Transfer(v4.Transfer):
    """The file."""

    # Wider than in the base class: an import accepts both versions.
    version: Literal[1, 2] = Field(  # type: ignore[assignment]
        description="2 where there are pictures."
    )
    conversation: TransferredConversation


def _pictured() -> dict[str, Any]:
    file: dict[str, Any] = IMPORT_EXAMPLES["brief"]["value"]
    conversation = file["conversation"]
    question, *answers = conversation["messages"]
    picture = {"sha256": "a", "base64": RED_CIRCLE}
    messages = [question | {"images": [{"sha256": "a"}]}, *answers]
    return file | {
        "version": 2,
        "conversation": conversation | {"messages": messages, "images": [picture]},
    }


EXAMPLES: dict[str, Any] = {
    **IMPORT_EXAMPLES,
    "picture": {"summary": "With a picture", "value": _pictured()},
}
"""Bodies that work as they are."""
