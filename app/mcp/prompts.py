"""Prompt templates as the protocol's prompts: variables and the message are their arguments."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from typing import Any

import mcp_types as types

from app.chat.request import Value
from app.mcp.call import Call, Context
from app.mcp.paging import PAGE, began_after
from app.storage import cursors
from app.storage.cursors import CursorKey
from app.templates.rendering import MESSAGE, CompiledTemplate, fill_variables
from app.templates.template import Template, Variable, VariableType
from app.templates.user_templates import UserTemplates

SCOPE = ("mcp", "prompts")
READERS: dict[VariableType, Callable[[str], Value]] = {
    "string": str,
    "integer": int,
    "number": float,
    "boolean": lambda text: {"true": True, "false": False}[text.strip().lower()],
}
"""How an argument, which is always text in the protocol, becomes a value of a type."""


async def list_prompts(
    ctx: Context, params: types.PaginatedRequestParams | None
) -> types.ListPromptsResult:
    """A page of the owner's templates and the built-in ones, by name."""
    call = Call.of(ctx)
    after = began_after(params, *SCOPE)
    bodies = await template_bodies(call, PAGE + 1, after.id if after else None)
    shown = [_described(body) for body in bodies[:PAGE]]
    more = len(bodies) > PAGE
    return types.ListPromptsResult(
        prompts=shown,
        next_cursor=cursors.encode(CursorKey(0, shown[-1].name), *SCOPE) if more else None,
    )


async def template_bodies(
    call: Call, count: int, after: str | None = None
) -> list[Mapping[str, Any]]:
    """The first ``count`` templates by name after the name ``after``."""
    templates = UserTemplates(call.conversations.library, call.owner)
    found = await call.database.read(templates.page, count, after)
    return [each.body for each in found]


def _described(body: Mapping[str, Any]) -> types.Prompt:
    variables = Template.of(dict(body)).variables
    arguments = [
        types.PromptArgument(
            name=name, description=_argument_text(body, name, each), required=each.required
        )
        for name, each in variables.items()
    ]
    message = types.PromptArgument(name=MESSAGE, description="The question.", required=True)
    return types.Prompt(
        name=body["name"],
        title=_english(body.get("title")),
        description=_english(body["description"]),
        arguments=[message, *arguments],
    )


def _argument_text(body: Mapping[str, Any], name: str, variable: Variable) -> str:
    text = _english(body["variables"][name].get("description")) or name
    default = "" if variable.default is None else f"; otherwise {variable.default}"
    return f"{text} ({variable.type}{default})"


def _english(label: str | dict[str, str] | None) -> str | None:
    return label["en"] if isinstance(label, dict) else label


async def get_prompt(ctx: Context, params: types.GetPromptRequestParams) -> types.GetPromptResult:
    """The instructions and the question as one message: prompts here have no system role."""
    template = await Call.of(ctx).find_template(params.name)
    text = await asyncio.to_thread(_rendered, template, params.arguments or {})
    content = types.TextContent(type="text", text=text)
    return types.GetPromptResult(
        description=_english(template.template.body["description"]),
        messages=[types.PromptMessage(role="user", content=content)],
    )


def _rendered(compiled: CompiledTemplate, arguments: Mapping[str, str]) -> str:
    given = {name: text for name, text in arguments.items() if name != MESSAGE}
    values = fill_variables(compiled.template, _values(compiled.template, given))
    system = compiled.render_system(values)
    user = compiled.render_user(values, arguments.get(MESSAGE, ""))
    return f"{system}\n\n{user}".strip()


def _values(template: Template, given: Mapping[str, str]) -> dict[str, Value]:
    """What is no value of its type stays text, which is then refused by its name."""
    values: dict[str, Value] = {}
    for name, text in given.items():
        declared = template.variables.get(name)
        try:
            values[name] = READERS[declared.type](text) if declared else text
        except (KeyError, ValueError):
            values[name] = text
    return values
