"""What ``/prompt/templates`` takes and gives from v4 on, where templates can be edited."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field

from app.v3.models.template import Template, TemplateName
from app.web.paging import PageQuery
from app.web.schema import WireModel
from app.web.timestamps import Moment

LARGEST_PAGE = 100
"""Templates or versions of one page: each may be as long as a request."""


class TemplatesQuery(PageQuery):
    """Which templates or versions."""

    limit: Annotated[int, Field(ge=1, le=LARGEST_PAGE)] | None = Field(
        None, description="Items of the page; left out, PAGE_SIZE, but never more than 100."
    )

    def length(self, page_size: int) -> int:
        """Items of the page."""
        return self.limit or min(page_size, LARGEST_PAGE)


class TemplateEdit(Template):
    """A template in place of another; its name stands in the address."""

    name: TemplateName = Field(
        default_factory=str, description="May be left out; else that of the address."
    )


class CurrentTemplate(Template):
    """What a name means now: the owner's own template, or the one that comes with the server."""

    version: int = Field(description="Counts the edits of an own one; 0: built-in.")
    source: Literal["built-in", "own"]
    updated_at: Moment | None = Field(description="Null for a built-in.")


class TemplatePage(WireModel):
    """Prompt templates, sorted by name."""

    templates: list[CurrentTemplate]
    next_cursor: str | None = Field(description="For the next page; null: this is the last.")


class TemplateVersion(WireModel):
    """One version of an own template."""

    version: int
    created_at: Moment
    deleted: bool = Field(description="Whether this version says that there is none any more.")
    template: Template | None = Field(description="Null where it is deleted.")


class VersionPage(WireModel):
    """Versions of one own template, newest first."""

    versions: list[TemplateVersion]
    next_cursor: str | None = Field(description="For the next page; null: this is the last.")


_PIRATE: dict[str, Any] = {
    "description": "Answers like a pirate.",
    "system": "You are a pirate. Answer in {{ language }}, in one sentence.",
    "variables": {"language": {"type": "string", "default": "English"}},
    "sampling": {"temperature": 0.9},
    "example": {"message": "Where is the treasure?", "variables": {"language": "Korean"}},
}

NEW_EXAMPLES: dict[str, Any] = {
    "pirate": {
        "summary": "A template of your own",
        "value": {"name": "pirate", "title": {"en": "Pirate", "ko": "해적"}} | _PIRATE,
    },
    "shadow": {
        "summary": "One in place of a built-in",
        "value": {"name": "default", "description": "Brief.", "system": "Answer in one word."},
    },
}
"""Bodies that work as they are."""

EDIT_EXAMPLES: dict[str, Any] = {
    "pirate": {"summary": "Another text", "value": _PIRATE},
}
"""The same, to replace any template."""
