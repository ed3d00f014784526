"""Messages of a chat, as clients send them."""

from __future__ import annotations

from typing import Annotated, Any, Literal, Self

from pydantic import (
    Field,
    TypeAdapter,
    ValidatorFunctionWrapHandler,
    WrapValidator,
    model_validator,
)

from app.media.image_source import Detail
from app.openai.models.base import Inner
from app.web.schema import LONGEST_TEXT, Plain

MOST_PARTS = 1024

LongText = Annotated[Plain, Field(max_length=LONGEST_TEXT)]


class ImageUrl(Inner):
    """Where a picture is."""

    url: str = Field(description="A data: URL, or an address (http, https) where IMAGE_URLS is on.")
    detail: Detail = Field("auto", description="`low`: scaled down to 512 pixels.")


def _image(value: object, _: ValidatorFunctionWrapHandler) -> ImageUrl:
    return ImageUrl.model_validate({"url": value} if isinstance(value, str) else value)


Image = Annotated[ImageUrl, WrapValidator(_image, json_schema_input_type=ImageUrl | str)]


class ContentPart(Inner):
    """A piece of a message: a text, a picture, what was refused, or what was thought."""

    type: Literal["text", "image_url", "refusal", "thinking"]
    text: LongText | None = None
    image_url: Image | None = None
    refusal: LongText | None = None
    thinking: LongText | None = None

    @model_validator(mode="after")
    def _has_its_field(self) -> Self:
        if getattr(self, self.type) is None:
            raise ValueError(f"a part of the type {self.type} needs {self.type}")
        return self


_TEXT: TypeAdapter[str] = TypeAdapter(LongText)
_PARTS: TypeAdapter[list[ContentPart]] = TypeAdapter(
    Annotated[list[ContentPart], Field(max_length=MOST_PARTS)]
)


def _content(value: object, _: ValidatorFunctionWrapHandler) -> str | list[ContentPart] | None:
    """One check by type: of a union, the error would be a list with a line for each member."""
    if value is None or isinstance(value, str):
        return value and _TEXT.validate_python(value)
    return _PARTS.validate_python(value)


Content = Annotated[
    str | list[ContentPart] | None,
    WrapValidator(_content, json_schema_input_type=LongText | list[ContentPart] | None),
]


class CalledFunction(Inner):
    """The function that an earlier answer called."""

    name: Annotated[Plain, Field(min_length=1, max_length=256)]
    arguments: LongText = Field(description="A JSON object, as the model wrote it.")


class ToolCall(Inner):
    """A call of a tool in an earlier answer."""

    id: Annotated[Plain, Field(max_length=256)] = ""
    type: Literal["function"] = "function"
    function: CalledFunction


class ChatMessage(Inner):
    """One message. `developer` is another name of `system`; `tool` brings what a tool returned."""

    role: Literal["system", "developer", "user", "assistant", "tool"]
    content: Content = None
    tool_calls: Annotated[list[ToolCall], Field(max_length=128)] | None = None
    tool_call_id: Annotated[Plain, Field(max_length=256)] | None = Field(
        None, description="Of the call that a `tool` message answers."
    )
    reasoning_content: LongText | None = Field(
        None, description="What the model thought before an earlier answer."
    )
    reasoning: Any = Field(None, description="Another name of `reasoning_content`, where a text.")
    refusal: LongText | None = None

    @property
    def thinking(self) -> str:
        """What the model thought."""
        if self.reasoning_content is not None:
            return self.reasoning_content
        return self.reasoning if isinstance(self.reasoning, str) else ""

    @property
    def parts(self) -> list[ContentPart]:
        """The content as parts."""
        if isinstance(self.content, str):
            return [ContentPart(type="text", text=self.content)] if self.content else []
        return self.content or []

    @model_validator(mode="after")
    def _makes_sense(self) -> Self:
        if self.role == "tool" and self.tool_call_id is None:
            raise ValueError("a tool message needs tool_call_id")
        if self.role in {"system", "developer", "user"} and self.content is None:
            raise ValueError(f"a {self.role} message needs content")
        if self.tool_calls and self.role != "assistant":
            raise ValueError("only an assistant message has tool_calls")
        return self
