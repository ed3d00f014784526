"""The prompts, and the completion of their arguments."""

from __future__ import annotations

import mcp_types as types
from mcp.shared.exceptions import MCPError

from app.mcp.call import Context
from tests.clients.mcp_fixtures.content import IMAGE, resource, text
from tests.clients.mcp_fixtures.rounds import ASKING_PROMPT

ARGUMENTS: dict[str, tuple[str, ...]] = {
    "test_simple_prompt": (),
    "test_prompt_with_arguments": ("arg1", "arg2"),
    "test_prompt_with_embedded_resource": ("resourceUri",),
    "test_prompt_with_image": (),
    "test_input_required_result_prompt": (),
}
CITIES = ("paris", "park", "testville")


async def list_prompts(
    _: Context, __: types.PaginatedRequestParams | None
) -> types.ListPromptsResult:
    """All of them."""
    prompts = [
        types.Prompt(
            name=name,
            description="A prompt for the suite.",
            arguments=[types.PromptArgument(name=each, required=True) for each in arguments],
        )
        for name, arguments in ARGUMENTS.items()
    ]
    return types.ListPromptsResult(prompts=prompts)


async def get_prompt(
    ctx: Context, params: types.GetPromptRequestParams
) -> types.GetPromptResult | types.InputRequiredResult:
    """One of them; the last needs an answer of the user first."""
    if params.name not in ARGUMENTS:
        raise MCPError(types.INVALID_PARAMS, f"There is no prompt {params.name}.")
    asking = params.name == "test_input_required_result_prompt"
    if asking and (question := ASKING_PROMPT.next(ctx, params)):
        return question
    messages = [
        types.PromptMessage(role="user", content=content)
        for content in _contents(params.name, params.arguments or {})
    ]
    return types.GetPromptResult(messages=messages)


def _contents(name: str, arguments: dict[str, str]) -> list[types.ContentBlock]:
    match name:
        case "test_prompt_with_arguments":
            return [text(f"{arguments['arg1']!r} and {arguments['arg2']!r}.")]
        case "test_prompt_with_embedded_resource":
            return [resource(arguments["resourceUri"], "A text."), text("Read the resource.")]
        case "test_prompt_with_image":
            return [IMAGE, text("Look at the image.")]
        case _:
            return [text("A simple prompt.")]


async def complete(_: Context, params: types.CompleteRequestParams) -> types.CompleteResult:
    """Names of cities."""
    found = [city for city in CITIES if city.startswith(params.argument.value)]
    return types.CompleteResult(completion=types.Completion(values=found, total=len(found)))
