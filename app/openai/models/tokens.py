"""What ``/v1/tokenize`` and ``/v1/detokenize`` take and give."""

from __future__ import annotations

from typing import Annotated, Any, Self

from pydantic import BaseModel, Field, model_validator

from app.openai.models.base import Body
from app.openai.models.completions import PromptText, Token
from app.openai.models.messages import ChatMessage
from app.openai.models.sampling import ModelName
from app.openai.models.tools import MOST_TOOLS, Tool
from app.web.schema import LONGEST_TEXT, JsonObject


class TokenizeBody(Body):
    """A text, or messages as a chat has them."""

    model: ModelName | None = None
    prompt: PromptText | None = None
    content: PromptText | None = Field(None, description="Another name of `prompt`.")
    messages: list[ChatMessage] | None = Field(None, description="Without images.")
    tools: Annotated[list[Tool], Field(max_length=MOST_TOOLS)] = Field([])
    chat_template_kwargs: JsonObject = Field({})
    add_special_tokens: bool = Field(
        True, description="Begin a text with the tokens that every prompt begins with."
    )
    return_token_strs: bool = Field(False, description="Also give the text of each token.")

    @model_validator(mode="after")
    def _exactly_one(self) -> Self:
        given = [value for value in (self.prompt, self.content, self.messages) if value is not None]
        if len(given) != 1:
            raise ValueError("give exactly one of prompt, content and messages")
        return self


class TokenizedText(BaseModel):
    """Tokens of the model's own vocabulary."""

    count: int
    max_model_len: int = Field(description="Tokens of a prompt together with its answer.")
    tokens: list[int]
    token_strs: list[str] | None = Field(description="null where they were not asked for.")


class DetokenizeBody(Body):
    """Tokens of the model's own vocabulary."""

    model: ModelName | None = None
    tokens: Annotated[list[Token], Field(max_length=LONGEST_TEXT)]


class DetokenizedText(BaseModel):
    """Their text, by the names that two kinds of clients look for."""

    prompt: str
    content: str


TOKENIZE_EXAMPLES: dict[str, Any] = {
    "text": {"summary": "A text", "value": {"prompt": "Hello!", "return_token_strs": True}},
    "messages": {
        "summary": "A chat, as the model reads it",
        "value": {"messages": [{"role": "user", "content": "Hello!"}]},
    },
}
DETOKENIZE_EXAMPLES: dict[str, Any] = {
    "tokens": {"summary": "Some tokens", "value": {"tokens": [1, 2, 3]}}
}
"""Bodies that work as they are."""
