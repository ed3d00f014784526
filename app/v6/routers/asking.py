"""How a turn of v6 is answered: as a whole, as a stream, or with where it will be found."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import partial
from typing import Any

from fastapi import Request, Response

from app.conversations.answering import Answering
from app.conversations.ask_with_images import ask_with_images
from app.conversations.turn import Turn
from app.dependencies import VisionServices
from app.errors import InvalidRequest
from app.idempotency.outcome import outlive_client
from app.v4.services.answers import head
from app.v5.routers.bodies import question
from app.v6.models.chat import BackgroundAnswer
from app.v6.models.options import ReadingFields
from app.v6.services.answers import background_answer, done, whole_answer
from app.v6.services.events import EventEncoder
from app.v6.services.translate import Question
from app.web.disconnect import unless_disconnected
from app.web.openapi import CHAT_ERRORS, problems
from app.web.sse import EventStream

PROBLEMS = problems(*CHAT_ERRORS, 502, version=6)

_VERSION = re.compile(r"(?<=/api/v[0-9]/).*")
"""What follows the version in a path."""

IN_BACKGROUND: dict[int | str, dict[str, Any]] = {
    202: {
        "model": BackgroundAnswer,
        "description": "The question is stored, and the answer is made in the background",
        "headers": {
            "Location": {
                "schema": {"type": "string"},
                "description": "The path at which the answer can be read.",
            }
        },
    }
}


@dataclass(frozen=True, slots=True)
class AskedTurn:
    """A turn, and what becomes of it when its reader goes."""

    turn: Turn
    reading: ReadingFields

    @property
    def stops(self) -> bool:
        """Whether the answer stops when the client that asked hangs up."""
        return self.reading.on_disconnect == "stop"

    def note_reader(self) -> None:
        """Let the outcome of a request with an idempotency key be whole though its client goes."""
        if not self.stops:
            outlive_client()


async def asked_turn(
    request: Request, vision: VisionServices, owner: str, *, vision_only: bool = False
) -> AskedTurn:
    """The turn that a body asks for; otherwise like that of v5."""
    policy = vision.intake.policy
    async with question(request, policy, forms=vision_only, kind=Question) as asked:
        decode = asked.decoder(vision.intake)
        asking = ask_with_images(
            vision.conversations, owner, asked.request, decode, vision_only=vision_only
        )
        return AskedTurn(await unless_disconnected(request.receive, asking), asked.body)


async def answer_whole(request: Request, answering: Answering, asked: AskedTurn) -> Response:
    """The whole answer; or 202, if it is to be made in the background."""
    turn = asked.turn
    if asked.reading.background:
        await answering.start_in_background(turn)
        return _accepted(request, turn)
    asked.note_reader()
    making = answering.finish(turn, stops=asked.stops)
    end = await unless_disconnected(request.receive, making)
    answer = whole_answer(turn, end)
    return Response(answer.model_dump_json(), media_type="application/json")


def _accepted(request: Request, turn: Turn) -> Response:
    # Later versions have this route too, and before the API the address may be that of a proxy.
    base = _VERSION.sub("", request.url.path)
    target = turn.target
    place = f"conversations/{target.conversation_id}/messages/{target.answer_id}/stream"
    answer = background_answer(turn, base + place)
    headers = {"Location": answer.stream}
    return Response(answer.model_dump_json(), 202, headers, "application/json")


def answer_stream(answering: Answering, asked: AskedTurn) -> EventStream:
    """The answer as it is made; raises InvalidRequest if it is to be made in the background."""
    if asked.reading.background:
        detail = "An answer in the background is asked for without /stream, and read at its own."
        raise InvalidRequest("/background", detail)
    asked.note_reader()
    turn = asked.turn
    encoder = EventEncoder(head(turn), partial(done, turn))
    return EventStream(encoder, answering.read(turn, stops=asked.stops))
