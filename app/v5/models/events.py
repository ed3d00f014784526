"""The data of the events that v5 changes: ``done`` tells of pictures."""

from __future__ import annotations

from pydantic import BaseModel, Field

from app.v2.models import events as v2
from app.v4.models import events as v4
from app.v5.models.chat import Context
from app.v5.models.images import AskedImage


class StoredDoneEvent(v4.StoredDoneEvent):
    """``done``: the answer is complete and stored; nothing follows."""

    context: Context
    images: list[AskedImage] = Field(description="The pictures of this question.")


EVENTS: dict[str, type[BaseModel]] = {**v4.EVENTS, "done": StoredDoneEvent}
"""Event name → what its data is."""

STREAM_EXAMPLE = """\
event: message
id: 0
data: {"id":"019e…","conversation_id":"019d…","message_id":"019e…","parent_id":"019d…","model":"starter-vision","template":null}

event: delta
id: 1
data: {"text":"A red circle."}

event: done
id: 2
data: {"finish_reason":"stop","usage":{"prompt_tokens":40,"completion_tokens":4,"cached_tokens":0},"context":{"prompt_tokens":40,"limit":2048,"dropped":[],"summarised":[],"images":[{"sha256":"1a2b…","width":112,"height":112,"tokens":16}]},"images":[{"sha256":"1a2b…","width":112,"height":112,"seen":{"width":112,"height":112,"tokens":16},…}]}

"""  # noqa: E501 — an event is one line

STREAM_DOCUMENTATION = v2.stream_documentation(EVENTS, STREAM_EXAMPLE)
