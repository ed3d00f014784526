"""``/prompt/templates``: own templates beside the built-in ones, with every version kept."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Body, Header, Path, Query, Request, Response

from app.conversations.services import ConversationServices
from app.dependencies import JSON_ONLY, AppSettings, Owner, Services
from app.templates.editing import TemplateEditor
from app.templates.user_templates import UserTemplates
from app.v3.models.template import Template
from app.v3.services import templates as v3_templates
from app.v4.models.templates import (
    EDIT_EXAMPLES,
    NEW_EXAMPLES,
    CurrentTemplate,
    TemplateEdit,
    TemplatePage,
    TemplatesQuery,
    VersionPage,
)
from app.v4.services import templates as service
from app.web import etags
from app.web.openapi import Responses, problems
from app.web.schema import Plain

router = APIRouter(tags=["templates"])

Name = Annotated[Plain, Path(max_length=200, openapi_examples={"default": {"value": "default"}})]
OwnName = Annotated[Plain, Path(max_length=200, openapi_examples={"pirate": {"value": "pirate"}})]
Number = Annotated[
    int, Path(ge=0, lt=2**31, openapi_examples={"first": {"value": 1}}, description="0: built-in.")
]
IfMatch = Annotated[
    list[str],
    Header(
        default_factory=list,
        alias="If-Match",
        description='Do it only if the ETag is still one of these, such as "3"; * means: whatever '
        "is there. Otherwise 412. Left out, the last to write wins, and every version is kept.",
    ),
]
IfNoneMatch = Annotated[
    list[str],
    Header(
        default_factory=list,
        alias="If-None-Match",
        description='Answer 304 if the ETag is one of these, such as "3".',
    ),
]

LIST_ERRORS = (401, 403, 421, 422, 500, 503)
READ_ERRORS = (401, 403, 404, 421, 422, 500, 503)
WRITE_ERRORS = (401, 403, 404, 409, 412, 421, 422, 500, 503)
CREATE_ERRORS = (400, 401, 403, 409, 413, 415, 421, 422, 500, 503)
REPLACE_ERRORS = (400, 401, 403, 404, 409, 412, 413, 415, 421, 422, 500, 503)

ETAG = {"description": "Of what was answered, for If-Match.", "schema": {"type": "string"}}
LOCATION = {"description": "Its address.", "schema": {"type": "string"}}


TAGGED: Responses = {200: {"headers": {"ETag": ETAG}}}
MADE: Responses = {201: {"headers": {"ETag": ETAG, "Location": LOCATION}}}
UNCHANGED: Responses = {304: {"description": "If-None-Match names it: nothing has changed."}}


@router.get(
    "/prompt/templates",
    response_model_exclude_unset=True,
    response_description="A page of templates",
    responses=problems(*LIST_ERRORS, version=4),
    summary="List the prompt templates",
)
async def templates(
    services: Services,
    owner: Owner,
    settings: AppSettings,
    query: Annotated[TemplatesQuery, Query()],
) -> TemplatePage:
    """List your own prompt templates and the built-in ones, sorted by name.

    Of an own one and a built-in of the same name the own one is shown: `source` tells.
    """
    return await service.list_templates(
        services, owner, query.length(settings.page_size), query.cursor
    )


@router.get(
    "/prompt/templates/{name}",
    response_model=CurrentTemplate,
    response_model_exclude_unset=True,
    response_description="The template",
    responses=problems(*READ_ERRORS, version=4) | TAGGED | UNCHANGED,
    summary="Read one prompt template",
)
async def template(
    name: Name,
    services: Services,
    owner: Owner,
    response: Response,
    if_none_match: IfNoneMatch,
) -> CurrentTemplate | Response:
    """Read one prompt template, your own one or else the built-in, with its ETag."""
    known = etags.parsed("If-None-Match", if_none_match)
    templates = UserTemplates(services.library, owner)
    found = await services.database.read(templates.active, name)
    # The template depends on the API key: caches must not share it, and must revalidate it.
    headers = {"ETag": found.etag, "Cache-Control": "private, no-cache"}
    if known and known.include(found.etag):
        return Response(status_code=304, headers=headers)
    response.headers.update(headers)
    return service.current_template(found)


@router.post(
    "/prompt/templates",
    status_code=201,
    response_model_exclude_unset=True,
    response_description="The template, as version 1 or as the one after a deleted one",
    responses=problems(*CREATE_ERRORS, version=4) | MADE,
    dependencies=[JSON_ONLY],
    summary="Make a prompt template",
)
async def create_template(
    body: Annotated[Template, Body(openapi_examples=NEW_EXAMPLES)],
    services: Services,
    owner: Owner,
    request: Request,
    response: Response,
) -> CurrentTemplate:
    """Make a prompt template of your own; `/chat` knows its name at once.

    With the name of a built-in it takes its place, for you alone, until it is deleted. Texts are
    in Jinja's language; names that `variables` does not declare are refused.
    """
    template = v3_templates.template(body)
    made = await TemplateEditor(services.database, services.library, owner).create(template)
    response.headers["Location"] = f"{request.url.path}/{template.name}"
    response.headers["ETag"] = made.etag
    return service.current_template(made)


@router.put(
    "/prompt/templates/{name}",
    response_model_exclude_unset=True,
    response_description="The template, as a new version",
    responses=problems(*REPLACE_ERRORS, version=4) | TAGGED,
    dependencies=[JSON_ONLY],
    summary="Replace a prompt template",
)
async def replace_template(
    name: Name,
    body: Annotated[TemplateEdit, Body(openapi_examples=EDIT_EXAMPLES)],
    services: Services,
    owner: Owner,
    response: Response,
    if_match: IfMatch,
) -> CurrentTemplate:
    """Replace a prompt template by another; the version before is kept.

    A built-in is not changed: yours takes its place, for you alone. Conversations keep the
    template they began with until a request names it again.
    """
    editor = _editor(services, owner, if_match)
    made = await editor.replace(service.edited_template(name, body))
    response.headers["ETag"] = made.etag
    return service.current_template(made)


@router.delete(
    "/prompt/templates/{name}",
    status_code=204,
    response_description="It is deleted",
    responses=problems(*WRITE_ERRORS, version=4),
    summary="Delete a prompt template",
)
async def delete_template(
    name: OwnName, services: Services, owner: Owner, if_match: IfMatch
) -> None:
    """Delete a prompt template of your own; a built-in of the same name shows again.

    Its versions are kept and can be restored.
    """
    await _editor(services, owner, if_match).remove(name)


@router.get(
    "/prompt/templates/{name}/versions",
    response_model_exclude_unset=True,
    response_description="A page of versions, newest first",
    responses=problems(*READ_ERRORS, version=4),
    summary="List the versions of a prompt template",
)
async def template_versions(
    name: Name,
    services: Services,
    owner: Owner,
    settings: AppSettings,
    query: Annotated[TemplatesQuery, Query()],
) -> VersionPage:
    """List what your template of this name ever was, newest first, also after it was deleted.

    A built-in that you never replaced has no versions here.
    """
    length = query.length(settings.page_size)
    return await service.list_versions(services, owner, name, length, query.cursor)


@router.post(
    "/prompt/templates/{name}/versions/{version}/restore",
    response_model_exclude_unset=True,
    response_description="What the name means now",
    responses=problems(*WRITE_ERRORS, version=4) | TAGGED,
    summary="Restore a version of a prompt template",
)
async def restore_template(
    name: OwnName,
    version: Number,
    services: Services,
    owner: Owner,
    response: Response,
    if_match: IfMatch,
) -> CurrentTemplate:
    """Make an earlier version the newest one, also of a template that was deleted.

    Version 0 is the built-in: restoring it deletes your own one. The versions between are kept.
    """
    found = await _editor(services, owner, if_match).restore(name, version)
    response.headers["ETag"] = found.etag
    return service.current_template(found)


def _editor(services: ConversationServices, owner: str, if_match: list[str]) -> TemplateEditor:
    known = etags.parsed("If-Match", if_match)
    return TemplateEditor(services.database, services.library, owner, known)
