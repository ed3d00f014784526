"""Counts the tokens of a chat request without answering it."""

from __future__ import annotations

from app.v1.services.chat import earlier_turns
from app.v4.models.chat import ChatRequest
from app.v4.models.turns import TokenCount
from app.v4.services.asking import planned, question_of
from app.v4.services.desk import Desk
from app.v4.services.view import look
from app.v4.store import turns
from app.v4.store.cuts import Beginning
from app.v4.store.tree import Said


async def count(desk: Desk, owner: str, request: ChatRequest) -> TokenCount:
    """Count what the model would read; raises what ``asking.ask`` raises."""
    plan = await planned(desk, owner, request)
    question = question_of(request, plan.framing)
    if request.conversation_id:
        said = await desk.database.read(turns.before, owner, request.conversation_id, question)
    else:
        said = [Said("", one.role, one.text) for one in earlier_turns(request, desk.longest)]
    newest = Said("", "user", question.prompt or question.content)
    view = await look(plan.stage, [*said, newest], Beginning())
    return TokenCount(
        model=plan.stage.model,
        prompt_tokens=view.size.tokens,
        limit=view.size.limit,
        fits=view.size.tokens <= view.size.limit,
    )
