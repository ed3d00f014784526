"""Bodies and answers of the tool server, as its clients write and read them."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from app.chat.vision_question import VisionQuestion


class GenerateBody(BaseModel):
    """A question, with a picture or without one. Unknown fields are ignored, as ever."""

    model_config = ConfigDict(extra="ignore", strict=True, frozen=True)

    prompt: str = Field(min_length=1, description="The question.")
    image_base64: str | None = Field(
        default=None,
        description="The picture as base64, with `data:image/png;base64,` before it or not; empty: "
        "none.",
    )
    stream: bool = Field(default=False, description="Send the answer as it is made.")

    @property
    def question(self) -> VisionQuestion:
        """The same for the domain."""
        return VisionQuestion(self.prompt, (self.image_base64 or "").strip())


EXAMPLES: dict[str, Any] = {
    "a question": {"summary": "A question", "value": {"prompt": "Hello! What are you?"}},
    "a picture": {
        "summary": "A question about a picture",
        "value": {
            "prompt": "What is in the picture?",
            "image_base64": "iVBORw0KGgoAAAANSUhEUgAAAGAAAABgAQMAAADYVuV7AAAABlBMVEX////WJCQRLZ+LAA"
            "AA2UlEQVR42t2TsQ3CQAxF3zkI6GADMgIbEDa/ERghI6SMUBRT+CdRuAIoKMDF6X/Z/rZ1"
            "NvyjnYYFJ/c8k4N7D2AAZ9gCVAAtpJTDkwAapezc3Tvl7NFjwBFgI1JPsjblJklH9ZQxKU"
            "MDpiagnlGYhWgUMNWEfRl2DLQpPfWMnj0rohnTi7DFqmkcSPnNnC+Savmn6wcCGsFfhLWB"
            "xtLTBRpKTx+oBwNtYVeGjYFaMPAgWZvYxDjYtDuu3lp1g6EWBpFeNTHgDnATcVi+jIv7WN"
            "xCeSWr+/ltewC5YDYKf2Xi7gAAAABJRU5ErkJggg==",
        },
    },
}


class Generated(BaseModel):
    """A whole answer."""

    result: str = Field(description="The answer.")
    text: str = Field(
        description="The answer after a line `assistant`: older clients cut what comes before it."
    )
    finish_reason: str = Field(description="`length`: the answer was cut off.")


class ErrorAnswer(BaseModel):
    """An error."""

    detail: str = Field(description="What happened here, in one sentence.")
    error: str = Field(description="The same, under the name that some clients read.")
    code: str = Field(description="Its kind, as under `/api`.")
    request_id: str = Field(description="Also in the header X-Request-ID, and in the log.")
