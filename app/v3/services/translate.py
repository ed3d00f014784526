"""Between v3's wire models and the domain."""

from __future__ import annotations

from typing import Any

from pydantic import ValidationError

from app.chat.completion import Completion
from app.chat.request import ChatRequest
from app.errors import InvalidRequest, pointer
from app.templates.template import Template
from app.v1.services import translate as v1
from app.v3.models import chat as wire
from app.v3.models.template import Template as TemplateBody


def chat_request(body: wire.ChatRequest) -> ChatRequest:
    """The request of a body."""
    return ChatRequest(
        message=body.message,
        history=v1.messages(body.history),
        system=body.system,
        model=body.model,
        sampling=v1.sampling_options(body),
        template=body.template,
        variables=body.variables,
    )


def chat_answer(model: str, template: str | None, completion: Completion) -> wire.ChatAnswer:
    """A whole answer as v3 sends it."""
    return wire.ChatAnswer(**dict(v1.chat_answer(model, completion)), template=template)


def template(body: TemplateBody) -> Template:
    """A template that a client sends."""
    return Template.of(body.model_dump(mode="json", exclude_unset=True))


def parsed_template(data: Any) -> Template:
    """A template of a JSON value; raises InvalidRequest with the first mistake of its shape."""
    try:
        return template(TemplateBody.model_validate(data))
    except ValidationError as error:
        first = error.errors()[0]
        detail = first["msg"].removeprefix("Value error, ")
        raise InvalidRequest(pointer(*first["loc"]), detail) from error
