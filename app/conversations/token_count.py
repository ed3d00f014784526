"""Counts the tokens of a chat request without answering it."""

from __future__ import annotations

from sqlalchemy.orm import Session

from app.chat.completion import earlier_turns
from app.conversations.context_window import look, require_sight
from app.conversations.services import Desk
from app.conversations.start import planned, question_of
from app.conversations.store import tree, turns
from app.conversations.store.images import Attached
from app.conversations.store.tree import Said
from app.conversations.store.truncation import Beginning
from app.conversations.store.turns import Question
from app.v4.models.chat import ChatRequest
from app.v4.models.turns import TokenCount


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
