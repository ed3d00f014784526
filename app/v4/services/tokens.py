"""Counts the tokens of a chat request without answering it."""

from __future__ import annotations

from sqlalchemy.orm import Session

from app.v1.services.chat import earlier_turns
from app.v4.models.chat import ChatRequest
from app.v4.models.turns import TokenCount
from app.v4.services.asking import planned, question_of
from app.v4.services.desk import Desk
from app.v4.services.view import look, require_sight
from app.v4.store import tree, turns
from app.v4.store.cuts import Beginning
from app.v4.store.images import Attached
from app.v4.store.tree import Said
from app.v4.store.turns import Question


async def count(
    desk: Desk, owner: str, request: ChatRequest, images: tuple[Attached, ...] = ()
) -> TokenCount:
    """Count what the model would read; raises what ``asking.ask`` raises."""
    plan = await planned(desk, owner, request)
    question = question_of(request, plan.framing)
    if request.conversation_id:
        asked = (request.conversation_id, question)
        room = max(0, plan.stage.images - len(images))
        said = await desk.database.read(_before, owner, *asked, room)
    else:
        said = [Said("", one.role, one.text) for one in earlier_turns(request, desk.longest)]
    said = [*said, Said("", "user", question.prompt or question.content, images)]
    require_sight(plan.stage, said)
    view = await look(plan.stage, said, Beginning())
    return TokenCount(
        model=plan.stage.model,
        prompt_tokens=view.size.tokens,
        limit=view.size.limit,
        fits=view.size.tokens <= view.size.limit,
    )


def _before(
    session: Session, owner: str, conversation_id: str, question: Question, most: int
) -> list[Said]:
    """What was said before the question, with the last ``most`` pictures."""
    said = turns.before(session, owner, conversation_id, question)
    return tree.pictured(session, conversation_id, said, most)
