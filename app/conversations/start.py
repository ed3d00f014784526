"""From a request to a turn: reads the conversation's defaults, the template and the model."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial

from sqlalchemy.orm import Session

from app.chat.completion import require_chat, require_history_length
from app.chat.request import TurnRequest
from app.conversations.context_window import max_images
from app.conversations.defaults import (
    Defaults,
    changed_defaults,
    fill_in_defaults,
    find_request_template,
    read_defaults,
)
from app.conversations.services import ConversationServices
from app.conversations.store import answers, conversations, tree, turns
from app.conversations.store.images import Attachment
from app.conversations.target import GenerationTarget
from app.conversations.turn import Turn
from app.errors import InvalidRequest
from app.provider.card import ModelCard
from app.provider.types import ToolCallPart, ToolResultPart
from app.storage.ids import new_id
from app.templates.of_preset import apply_with_preset


@dataclass(frozen=True, slots=True)
class ResolvedRequest:
    """A request with what has been looked up for it.

    ``defaults`` are those of its conversation. ``card`` is None if the model has not been looked
    up yet.
    """

    request: TurnRequest
    defaults: Defaults
    card: ModelCard | None = None
    images: tuple[Attachment, ...] = ()


@dataclass(frozen=True, slots=True)
class ToolResults:
    """The results of the tool calls of the message ``calls_id``."""

    calls_id: str
    results: tuple[ToolResultPart, ...]


async def ask(services: ConversationServices, owner: str, request: TurnRequest) -> Turn:
    """A turn that asks a question; nothing is stored before its events are read.

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
    defaults = await read_defaults(services, owner, request.conversation_id)
    return ResolvedRequest(request, defaults)


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
    """A turn that answers a stored question again; raises also MessageNotFound.

    ``options`` set the model, the sampling and the overflow contract; its message is ignored.
    """
    question_id, message, defaults = await services.database.read(
        _find_question, owner, conversation_id, message_id
    )
    request = replace(options, message=message, conversation_id=conversation_id)
    target = await resolve_target(services, owner, ResolvedRequest(request, defaults))
    target = replace(target, question_id=question_id)
    begin = partial(turns.begin_again, target=target)
    return Turn(services, target, request.overflow, request.wait_when_busy, begin)


async def answer_results(
    services: ConversationServices,
    owner: str,
    conversation_id: str,
    given: ToolResults,
    options: TurnRequest,
) -> Turn:
    """A turn that goes on with the results of the tool calls of a stored message.

    Otherwise like ``ask_again``. Raises InvalidRequest unless there is one result for each call.
    """
    ids = (owner, conversation_id, given.calls_id)
    calls = await services.database.read(answers.read_answer, *ids)
    _require_results(calls.tool_calls, given.results)
    turn = await ask_again(services, owner, conversation_id, calls.row.parent_id or "", options)
    begin = partial(turns.begin_after_results, calls_id=given.calls_id, results=given.results)
    turn.begin = partial(begin, target=turn.target)
    return turn


def _require_results(calls: Sequence[ToolCallPart], results: Sequence[ToolResultPart]) -> None:
    if not calls:
        raise InvalidRequest("/path/message_id", "This message calls no tools.")
    wanted, given = [call.id for call in calls], [result.call_id for result in results]
    if sorted(wanted) != sorted(given):
        names = ", ".join(wanted)
        raise InvalidRequest("/results", f"Give one result for each of the calls: {names}.")


async def resolve_target(
    services: ConversationServices, owner: str, resolved: ResolvedRequest
) -> GenerationTarget:
    """Find the model and fill in the template; raises what ``ask`` raises."""
    request, defaults = resolved.request, resolved.defaults
    template = await find_request_template(services, owner, request, defaults)
    completed = fill_in_defaults(request, defaults, template)
    card = resolved.card or await services.pool.find(completed.model)
    require_chat(card)
    find = partial(services.find_template, owner)
    applied = await apply_with_preset(completed, template, card, find)
    sampling = applied.sampling.to_sampling()
    return GenerationTarget(
        owner=owner,
        pool=services.pool,
        model=card,
        system=applied.system if isinstance(applied.system, str) else None,
        question=applied.message,
        sampling=sampling,
        template=template.template.name if template else None,
        changed_defaults=changed_defaults(completed, defaults, template),
        answer_tokens=sampling.max_tokens or services.answer_tokens,
        max_messages=services.max_messages,
        max_images=max_images(card, services.max_images),
        conversation_id=request.conversation_id or new_id(),
        options=request.options,
    )


def _find_question(
    session: Session, owner: str, conversation_id: str, message_id: str
) -> tuple[str, str, Defaults]:
    """Id and text of the question that a message is or answers, and the conversation's defaults."""
    defaults = conversations.find_owned(session, owner, conversation_id).setup
    found = tree.find_message(session, conversation_id, message_id)
    if found.role != "user":
        if found.parent_id is None:
            raise InvalidRequest("", "This message answers no question.")
        found = tree.find_message(session, conversation_id, found.parent_id)
    return found.id, found.content, defaults
