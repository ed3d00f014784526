"""Prompt templates of v3's wire model, for the domain; a start imports little else of v3."""

from __future__ import annotations

from typing import Any

from pydantic import ValidationError

from app.errors import InvalidRequest, pointer
from app.templates.template import Template
from app.v3.models.template import Template as TemplateBody


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
