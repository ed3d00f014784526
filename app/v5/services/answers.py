"""A turn with images as v5 shows it: as a whole answer, or in the events of a stream."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from app.chat.completion import collect
from app.conversations.store.images import Attachment
from app.conversations.turn import Turn
from app.provider.types import End, SeenImage
from app.v4.services import answers as v4
from app.v5.models.chat import ChatAnswer
from app.v5.services.images import stored_image


async def whole_answer(turn: Turn) -> ChatAnswer:
    """Read the turn to its end; raises what it raises."""
    completion = await collect(turn.events())
    return ChatAnswer.model_validate(v4.answer(turn, completion) | done(turn, completion.end))


def done(turn: Turn, end: End) -> dict[str, Any]:
    """The fields of the ``done`` event."""
    fields = v4.done(turn, end)
    context = fields["context"] | {"images": [image.as_dict() for image in turn.seen]}
    return fields | {"context": context, "images": question_images(turn.images, turn.seen)}


def question_images(
    images: Sequence[Attachment], seen: Sequence[SeenImage]
) -> list[dict[str, Any]]:
    """The images of the question, with their sizes in the prompt, which ends with them."""
    shown = seen[len(seen) - len(images) :]
    return [
        stored_image(image) | {"seen": _size(shown[at]) if shown else None}
        for at, image in enumerate(images)
    ]


def _size(image: SeenImage) -> dict[str, int]:
    return {"width": image.width, "height": image.height, "tokens": image.tokens}
