"""``/prompt/templates``: which templates there are, and what is in them."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Path

from app.dependencies import Templates
from app.v3.models.template import Template
from app.v3.models.templates import TemplateList
from app.web.openapi import COMMON_ERRORS, problems

router = APIRouter(tags=["templates"])


@router.get(
    "/prompt/templates",
    response_model_exclude_unset=True,
    response_description="Every template",
    responses=problems(*COMMON_ERRORS, version=3),
    summary="List the prompt templates",
)
async def templates(library: Templates) -> TemplateList:
    """List every prompt template, sorted by name, with its variables and an example."""
    return TemplateList(templates=[Template.model_validate(each.body) for each in library.all()])


@router.get(
    "/prompt/templates/{name}",
    response_model_exclude_unset=True,
    response_description="The template",
    responses=problems(*COMMON_ERRORS, 404, version=3),
    summary="Read one prompt template",
)
async def template(
    name: Annotated[str, Path(openapi_examples={"default": {"value": "default"}})],
    library: Templates,
) -> Template:
    """Read one prompt template: its texts, its variables and how it draws answers."""
    return Template.model_validate(library.get(name).template.body)
