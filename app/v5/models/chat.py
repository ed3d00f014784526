"""What ``/chat`` and ``/vision/chat`` take and give from v5 on."""

from __future__ import annotations

from typing import Any

from pydantic import Field

from app.v4.models import chat as v4
from app.v5.models.images import AskedImage, SeenImage, SentImage


class ChatRequest(v4.ChatRequest):
    """A message to a model, with pictures, in a conversation that the server keeps.

    Without a `conversation_id` it starts one, after the turns of `history`. Model, template,
    variables and system text stay with the conversation until a request names others; pictures
    stay in it and are shown again with every later question.
    """

    images: list[SentImage] = Field(
        [], description="Pictures of this question, in order; at most MAX_IMAGES."
    )


class Context(v4.Context):
    """What of the conversation the model was shown."""

    images: list[SeenImage] = Field(
        description="The pictures, in order, those of earlier questions too."
    )


class ChatAnswer(v4.ChatAnswer):
    """A whole answer and where it is stored.

    ``finish_reason`` is ``length`` when ``max_tokens`` cut it off and ``cancelled`` when it was
    stopped; its usage is not known then.
    """

    context: Context
    images: list[AskedImage] = Field(description="The pictures of this question.")


RED_CIRCLE = (
    "iVBORw0KGgoAAAANSUhEUgAAAHAAAABwAQMAAAD8LmYIAAAABlBMVEX////cHh7/Hx2WAAAAzElEQVR42u1TOQ6DQAwczE"
    "qh5AchLwn5+T4hT+AJlChCOMV4zZGNhFKgFLiwZvA1SLPAGX8T13HJCtW4oBfVfkHvqhMAQAAALVCsRm1YPDWOAgDUTitP"
    "4oWQGRO7Y5dKAKDAIrJqClpX5SHzp8ZgIK3zzRtaEVb5ak0Ydq3a0OZD4P7Zw2hHOP0ya6YZ89WBcNi1yuzZG6X/0OWblT"
    "Amq9A6j9QckXokLeFCSSd4TpI8JvFC73TyBaUb8Db/QnQt63fE6gt4fn+DZxwcb7ahMXQ0iudgAAAAAElFTkSuQmCC"
)
"""A PNG that the project drew: a red circle on white, 112 pixels wide and high."""

EXAMPLES: dict[str, Any] = {
    "picture": {
        "summary": "Ask about a picture (a red circle)",
        "value": {
            "message": "What is in the picture?",
            "images": [{"base64": RED_CIRCLE, "mime": "image/png"}],
            "temperature": 0,
        },
    },
    "text": {"summary": "Ask without one", "value": {"message": "Hello! What are you?"}},
}
"""Bodies that work as they are."""
