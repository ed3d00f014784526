"""Tools that need to know more from their client, as 2026-07-28 does it.

A call ends with questions; the client calls again with the answers, and with the state that came
with the questions.
"""

from __future__ import annotations

from dataclasses import dataclass

import mcp_types as types
from mcp.shared.exceptions import MCPError

from app.mcp.call import Context
from tests.clients.mcp_fixtures.client_requests import CAPABILITIES, ROOTS, form, model_answer
from tests.clients.mcp_fixtures.content import text
from tests.clients.mcp_fixtures.tool import Tool, ToolAnswer

Questions = dict[str, types.InputRequest]

NAME = form("What is your name?", name={"type": "string"})
COLOR = form("What is your favorite color?", color={"type": "string"})
CONFIRM = form("Please confirm.", ok={"type": "boolean"})
CONTEXT = form("What context should the prompt use?", context={"type": "string"})


@dataclass(frozen=True)
class Rounds:
    """The questions of each round. The state, if there is one, is the number of the round."""

    rounds: tuple[Questions, ...]
    has_state: bool = False

    def next(
        self, ctx: Context, params: types.InputResponseRequestParams
    ) -> types.InputRequiredResult | None:
        """What has to be asked now; None when all has been answered."""
        number = int(params.request_state or 0)
        asked = _allowed(ctx, self.rounds[number])
        if asked.keys() <= (params.input_responses or {}).keys():
            number += 1
            if number == len(self.rounds):
                return None
            asked = _allowed(ctx, self.rounds[number])
        state = str(number) if self.has_state else None
        return types.InputRequiredResult(input_requests=asked, request_state=state)

    async def run(self, ctx: Context, params: types.CallToolRequestParams) -> ToolAnswer:
        """Answer a call of a tool."""
        answered = types.CallToolResult(content=[text(f"state-ok: {params.input_responses}")])
        return self.next(ctx, params) or answered


def _allowed(ctx: Context, questions: Questions) -> Questions:
    """Those that the client has declared to answer; without any of them the call is refused."""
    declared = {
        name: question
        for name, question in questions.items()
        if ctx.session.check_client_capability(CAPABILITIES[question.method])
    }
    if declared:
        return declared
    needed = CAPABILITIES[next(iter(questions.values())).method]
    data = types.MissingRequiredClientCapabilityErrorData(required_capabilities=needed)
    raise MCPError(
        types.MISSING_REQUIRED_CLIENT_CAPABILITY,
        "The client cannot answer what this asks.",
        data.model_dump(by_alias=True, exclude_none=True),
    )


ASK_NAME: Questions = {"user_name": NAME}
ASK_CAPITAL: Questions = {"capital_question": model_answer("What is the capital of France?")}
ASK_ALL: Questions = {
    "user_name": NAME,
    "greeting": model_answer("Generate a greeting."),
    "client_roots": ROOTS,
}

ASKING = {
    "test_missing_capability": Rounds((ASK_CAPITAL,)),
    "test_streaming_elicitation": Rounds((ASK_NAME,)),
    "test_input_required_result_elicitation": Rounds((ASK_NAME,)),
    "test_input_required_result_sampling": Rounds((ASK_CAPITAL,)),
    "test_input_required_result_list_roots": Rounds(({"client_roots": ROOTS},)),
    "test_input_required_result_capabilities": Rounds((ASK_NAME | ASK_CAPITAL,)),
    "test_input_required_result_request_state": Rounds(({"confirm": CONFIRM},), has_state=True),
    "test_input_required_result_tampered_state": Rounds(({"confirm": CONFIRM},), has_state=True),
    "test_input_required_result_multiple_inputs": Rounds((ASK_ALL,), has_state=True),
    "test_input_required_result_multi_round": Rounds(
        ({"step1": NAME}, {"step2": COLOR}), has_state=True
    ),
}
ASKING_PROMPT = Rounds(({"user_context": CONTEXT},))

TOOLS = [Tool(name, "Asks, then answers.", rounds.run) for name, rounds in ASKING.items()]
