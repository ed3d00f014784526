"""From a request to a turn: what is asked, where in which conversation, and of which model."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import partial

from sqlalchemy.orm import Session

from app.chat.completion import require_chat, require_history_length
from app.chat.request import TurnRequest
from app.conversations import defaults
from app.conversations.context_window import max_images
from app.conversations.defaults import Defaults
from app.conversations.services import ConversationServices
from app.conversations.store import conversations, tree, turns
from app.conversations.store.images import Attachment
from app.conversations.target import GenerationTarget
from app.conversations.turn import Turn
from app.errors import InvalidRequest
from app.provider.card import ModelCard
from app.storage.ids import new_id
from app.templates.apply import apply


@dataclass(frozen=True, slots=True)
class ResolvedRequest:
    """A request with what has been looked up for it.

    ``kept`` are the defaults of its conversation. ``card`` is None where the model has not been
    looked up yet.
    """

    request: TurnRequest
    kept: Defaults
    card: ModelCard | None = None
    images: tuple[Attachment, ...] = ()


async def ask(services: ConversationServices, owner: str, request: TurnRequest) -> Turn:
    """A turn that puts a question; nothing is stored before its events are read.

    Raises InvalidRequest, RenderFailed, ConversationNotFound, TemplateNotFound, ModelNotFound.
    """
    return await begin_turn(services, owner, await resolve(services, owner, request))


async def resolve(
    services: ConversationServices, owner: str, request: TurnRequest
) -> ResolvedRequest:
    """Read the conversation's defaults; raises InvalidRequest, ConversationNotFound."""
    if request.conversation_id and request.history:
        detail = "The history of a stored conversation is the stored one: leave this out."
        raise InvalidRequest("/history", detail)
    if isinstance(request.parent_id, str) and not request.conversation_id:
        raise InvalidRequest("/parent_id", "A parent is in a conversation: name conversation_id.")
    require_history_length(request, services.max_messages)
    kept = await defaults.read_defaults(services, owner, request.conversation_id)
    return ResolvedRequest(request, kept)


async def begin_turn(services: ConversationServices, owner: str, resolved: ResolvedRequest) -> Turn:
    """The turn of a request that has been resolved; raises what ``ask`` raises."""
    request, images = resolved.request, resolved.images
    target = await resolve_target(services, owner, resolved)
    begin = partial(turns.begin, request=request, target=target, attachments=images)
    return Turn(services, target, request.overflow, request.wait_when_busy, begin)


async def ask_again(
    services: ConversationServices,
    owner: str,
    conversation_id: str,
    message_id: str,
    options: TurnRequest,
) -> Turn:
    """A turn that answers a stored question once more; raises also MessageNotFound.

    ``options`` name the model, the sampling and how the conversation goes on; its message does
    not count.
    """
    question_id, message, kept = await services.database.read(
        _find_question, owner, conversation_id, message_id
    )
    request = replace(options, message=message, conversation_id=conversation_id)
    target = await resolve_target(services, owner, ResolvedRequest(request, kept))
    target = replace(target, question_id=question_id)
    begin = partial(turns.begin_again, target=target)
    return Turn(services, target, request.overflow, request.wait_when_busy, begin)


async def resolve_target(
    services: ConversationServices, owner: str, resolved: ResolvedRequest
) -> GenerationTarget:
    """Everything that can be known of a turn before it begins; raises what ``ask`` raises."""
    request, kept = resolved.request, resolved.kept
    template = await defaults.find_request_template(services, owner, request, kept)
    whole = defaults.fill_in_defaults(request, kept, template)
    applied = await apply(whole, template)
    card = resolved.card or await services.pool.find(whole.model)
    require_chat(card)
    sampling = applied.sampling.sampling()
    return GenerationTarget(
        owner=owner,
        pool=services.pool,
        model=card,
        system=applied.system if isinstance(applied.system, str) else None,
        question=applied.message,
        sampling=sampling,
        template=template.template.name if template else None,
        defaults=defaults.changed_defaults(whole, kept, template),
        answer_tokens=sampling.max_tokens or services.answer_tokens,
        max_messages=services.max_messages,
        max_images=max_images(card, services.max_images),
        conversation_id=request.conversation_id or new_id(),
    )


def _find_question(
    session: Session, owner: str, conversation_id: str, message_id: str
) -> tuple[str, str, Defaults]:
    """The question that a message is or answers: its id and text; what its conversation keeps."""
    kept = conversations.find_owned(session, owner, conversation_id).setup
    found = tree.find_message(session, conversation_id, message_id)
    if found.role != "user":
        if found.parent_id is None:
            raise InvalidRequest("", "This message answers no question.")
        found = tree.find_message(session, conversation_id, found.parent_id)
    return found.id, found.content, kept
