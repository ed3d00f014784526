"""What pulling a model takes and tells."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Field

from app.provider.hub.names import LONGEST, check
from app.web.schema import Plain, WireModel
from app.web.timestamps import Moment

PullState = Literal["queued", "running", "done", "failed", "cancelled"]


_PATTERN = (
    "^((huggingface|modelscope):)?[A-Za-z0-9][A-Za-z0-9_.-]{0,95}"
    "(/[A-Za-z0-9][A-Za-z0-9_.-]{0,95}(:[^\\u0000]+)?)?$"
)
"""Most of what makes a name; that it leads nowhere else, no pattern can say."""


def _well_formed(name: str) -> str:
    check(name)
    return name


class PullRequest(WireModel):
    """Which model to download."""

    name: Annotated[
        Plain, Field(min_length=1, max_length=LONGEST), AfterValidator(_well_formed)
    ] = Field(
        description="A recommended name, or `owner/repository[:file or folder]` on the hub that "
        "the server is set to; `modelscope:` or `huggingface:` before it chooses the hub.",
        examples=["qwen2.5-0.5b", "Qwen/Qwen2.5-0.5B-Instruct-GGUF:q4_k_m"],
        json_schema_extra={"pattern": _PATTERN},
    )


class PullProblem(WireModel):
    """Why a download failed."""

    code: str = Field(description="The stable name of the error.")
    detail: str = Field(description="What happened, in one sentence.")


class PullJob(WireModel):
    """One download."""

    id: str
    name: str = Field(description="What was asked for.")
    source: str = Field(description="Repository and file or folder on the hub.")
    revision: str = Field(description="Of the repository.")
    licence: str = Field(description="As the hub states it.")
    state: PullState = Field(
        description="At most 2 downloads run at once, others are `queued`. What a `cancelled` or "
        "`failed` one has brought is gone on with when the model is asked for again."
    )
    model: str | None = Field(description="The model's id in requests, when it is done.")
    files: int
    bytes_done: int
    bytes_total: int
    speed: float = Field(description="Bytes per second over the last seconds; 0 unless running.")
    seconds_left: float | None = Field(description="At that speed; null where nothing moves.")
    created_at: Moment
    problem: PullProblem | None = Field(description="Only of a failed download.")


class PullJobs(WireModel):
    """The downloads since the server's start, the latest first."""

    jobs: list[PullJob]


EXAMPLES: dict[str, Any] = {
    "recommended": {"summary": "A recommended model", "value": {"name": "qwen2.5-0.5b"}},
    "file": {
        "summary": "One file of a repository",
        "value": {"name": "Qwen/Qwen2.5-0.5B-Instruct-GGUF:q4_k_m"},
    },
}
"""Bodies that work where the hub can be reached."""
