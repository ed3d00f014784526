"""Pages of lists: how much of one is asked for."""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

LARGEST = 1000
"""Items of one page."""


class PageQuery(BaseModel):
    """What follows the question mark. Numbers come as text there, so this one is not strict."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    limit: Annotated[int, Field(ge=1, le=LARGEST)] | None = Field(
        None, description="Items of the page; left out, PAGE_SIZE."
    )
    cursor: str | None = Field(None, description="`next_cursor` of the page before.")
