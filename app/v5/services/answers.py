"""What a client is told of a turn with pictures: as a whole answer, or around a stream."""

from __future__ import annotations

from typing import Any

from app.conversations.turn import Turn
from app.provider.types import End
from app.v4.services import answers as v4
from app.v5.models.chat import ChatAnswer
from app.v5.models.events import StoredDoneEvent
from app.v5.models.images import AskedImage, SeenSize
from app.v5.services.images import seen_image, stored_image


async def whole_answer(turn: Turn) -> ChatAnswer:
    """Read the turn to its end; raises what it raises."""
    answer = (await v4.whole_answer(turn)).model_dump()
    return ChatAnswer.model_validate(_pictured(answer, turn))


def done(turn: Turn, end: End) -> dict[str, Any]:
    """What the ``done`` event says."""
    told = StoredDoneEvent.model_validate(_pictured(v4.done(turn, end), turn))
    return told.model_dump()


def _pictured(told: dict[str, Any], turn: Turn) -> dict[str, Any]:
    seen = [seen_image(image).model_dump() for image in turn.seen]
    images = [image.model_dump() for image in _asked(turn)]
    return told | {"context": told["context"] | {"images": seen}, "images": images}


def _asked(turn: Turn) -> list[AskedImage]:
    """The pictures of the question: those that the model saw last."""
    seen = [
        SeenSize(width=one.width, height=one.height, tokens=one.tokens)
        for one in turn.seen[len(turn.seen) - len(turn.images) :]
    ]
    return [
        AskedImage(**dict(stored_image(image)), seen=seen[at] if seen else None)
        for at, image in enumerate(turn.images)
    ]
