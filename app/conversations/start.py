"""From a request to a turn: what is asked, where in which tree, of whom and under what setup."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import Any

from sqlalchemy.orm import Session

from app.chat.completion import chat_model, earlier_turns
from app.conversations.context_window import most_images
from app.conversations.defaults import Setup, agreed
from app.conversations.services import Desk
from app.conversations.store import conversations, tree, turns
from app.conversations.store.images import Attached
from app.conversations.store.tree import Said
from app.conversations.store.turns import Ids, Opening, Question, Start
from app.conversations.target import Stage
from app.conversations.turn import Begin, Turn
from app.errors import InvalidRequest
from app.storage.ids import new_id
from app.templates.apply import Framing, frame
from app.v4.models.chat import ChatRequest, RegenerateRequest, StoringFields


@dataclass(frozen=True, slots=True)
class Plan:
    """A request with all that the conversation adds to it, and what it changes of that."""

    changes: dict[str, Any]
    framing: Framing
    stage: Stage


async def ask(
    desk: Desk, owner: str, request: ChatRequest, images: tuple[Attached, ...] = ()
) -> Turn:
    """A turn that puts a question; nothing is stored before its events are read.

    Raises InvalidRequest, RenderFailed, ConversationNotFound, TemplateNotFound, ModelNotFound.
    """
    plan = await planned(desk, owner, request)
    ids = Ids(request.conversation_id or new_id(), new_id())
    begin = partial(
        turns.begin,
        opening=_opening(owner, ids, plan),
        question=question_of(request, plan.framing, images),
        start=None if request.conversation_id else _start(desk, request),
    )
    return _turn(desk, ids, plan, request, begin)


async def ask_again(
    desk: Desk, owner: str, conversation_id: str, message_id: str, request: RegenerateRequest
) -> Turn:
    """A turn that answers a stored question once more; raises also MessageNotFound."""
    question, said = await desk.database.read(_question, owner, conversation_id, message_id)
    given = request.model_dump(exclude_unset=True)
    whole = ChatRequest(message=said, conversation_id=conversation_id, **given)
    plan = await planned(desk, owner, whole)
    ids = Ids(conversation_id, question)
    begin = partial(turns.begin_again, opening=_opening(owner, ids, plan))
    return _turn(desk, ids, plan, request, begin)


async def planned(desk: Desk, owner: str, request: ChatRequest) -> Plan:
    """Everything that can be known of a turn before it begins; raises what ``ask`` raises."""
    _require_one_past(request)
    kept = await setup_of(desk, owner, request.conversation_id)
    setup, whole, template = await agreed(desk, owner, request, kept)
    framing = await frame(whole, template)
    model = await chat_model(desk.pool, setup.model)
    stage = Stage(
        pool=desk.pool,
        model=model,
        owner=owner,
        system=framing.system,
        sampling=framing.sampling,
        answer_tokens=framing.sampling.max_tokens or desk.answer_tokens,
        longest=desk.longest,
        images=most_images(await desk.pool.find(model), desk.images),
    )
    return Plan(setup.changes(kept), framing, stage)


def question_of(
    request: ChatRequest, framing: Framing, images: tuple[Attached, ...] = ()
) -> Question:
    """What is asked, and where in the tree."""
    return Question(
        content=request.message,
        prompt=framing.user if framing.user != request.message else None,
        parent=request.parent_id,
        follows_leaf="parent_id" not in request.model_fields_set,
        images=images,
    )


def _require_one_past(request: ChatRequest) -> None:
    if request.conversation_id and request.history:
        told = "The history of a stored conversation is the stored one: leave this out."
        raise InvalidRequest("/history", told)
    if request.parent_id and not request.conversation_id:
        raise InvalidRequest("/parent_id", "A parent is in a conversation: name conversation_id.")


async def setup_of(desk: Desk, owner: str, conversation_id: str | None) -> Setup:
    """What a conversation keeps to, a new one to nothing; raises ConversationNotFound."""
    if conversation_id is None:
        return Setup()
    found = await desk.database.read(conversations.owned, owner, conversation_id)
    return Setup.model_validate(found.setup)


def _question(
    session: Session, owner: str, conversation_id: str, message_id: str
) -> tuple[str, str]:
    """The question that a message is or answers, with its text."""
    conversations.owned(session, owner, conversation_id)
    found = tree.message(session, conversation_id, message_id)
    if found.role != "user":
        if found.parent_id is None:
            raise InvalidRequest("", "This message answers no question.")
        found = tree.message(session, conversation_id, found.parent_id)
    return found.id, found.content


def _opening(owner: str, ids: Ids, plan: Plan) -> Opening:
    return Opening(owner, ids, plan.stage.model, plan.changes)


def _start(desk: Desk, request: ChatRequest) -> Start:
    earlier = earlier_turns(request, desk.longest)
    told = tuple(Said(new_id(), one.role, one.text) for one in earlier)
    first = next((said.text for said in told if said.role == "user"), request.message)
    return Start(conversations.first_line(first), told)


def _turn(desk: Desk, ids: Ids, plan: Plan, request: StoringFields, begin: Begin) -> Turn:
    return Turn(
        database=desk.database,
        bells=desk.bells,
        ids=ids,
        stage=plan.stage,
        template=plan.framing.template,
        overflow=request.overflow,
        waits=request.when_busy == "wait",
        begin=begin,
    )
