"""What ``/chat`` takes and gives from v3 on."""

from __future__ import annotations

from typing import Annotated

from pydantic import ConfigDict, Field, JsonValue

from app.v1.models import chat as v1
from app.v3.models.template import Value
from app.web.schema import LONGEST_TEXT, Plain

_NO_VARIABLES: JsonValue = {"properties": {"variables": {"maxProperties": 0}}}
_A_TEMPLATE: JsonValue = {"required": ["template"], "properties": {"template": {"type": "string"}}}


class ChatRequest(v1.ChatRequest):
    """A message to a model, with what was said before, put into a prompt template if one is named.

    What the request itself sets wins over the template.
    """

    model_config = ConfigDict(json_schema_extra={"anyOf": [_NO_VARIABLES, _A_TEMPLATE]})

    template: Annotated[Plain, Field(min_length=1, max_length=200)] | None = Field(
        None, description="A name from GET /prompt/templates; left out, nothing is added."
    )
    variables: Annotated[
        dict[Annotated[Plain, Field(max_length=200)], Value], Field(max_length=64)
    ] = Field({}, description="Values for the template's variables; only together with one.")
    system: Annotated[Plain, Field(max_length=LONGEST_TEXT)] | None = Field(
        None, description="How the model shall behave; wins over the system text of a template."
    )


class ChatAnswer(v1.ChatAnswer):
    """A whole answer. ``finish_reason`` is ``length`` when ``max_tokens`` cut it off."""

    template: str | None = Field(description="The prompt template that was used; null: none.")
