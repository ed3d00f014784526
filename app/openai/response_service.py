"""What the routes for responses do, without HTTP."""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Sequence
from dataclasses import dataclass, replace

from msgspec import structs

from app.chat.images import decode_images
from app.chat.model_choice import ChosenModel, choose_model
from app.chat.request import AnswerOptions
from app.chat.thinking import thinking_options
from app.conversations import read_messages
from app.conversations.answer_input import InputRequest, stored_turn, unstored_turn
from app.conversations.defaults import read_defaults
from app.conversations.errors import ConversationNotFound, MessageNotFound
from app.conversations.services import ConversationServices
from app.conversations.stop import stop
from app.conversations.store import answers, conversations, last_messages, messages
from app.conversations.store.answers import StoredAnswer
from app.conversations.store.input_turns import Base
from app.conversations.turn import Turn
from app.errors import InvalidRequest
from app.openai.errors import InvalidParameter, ResponseNotFound
from app.openai.item_references import with_references
from app.openai.models.responses import ResponseBody, ResponseFields, TextFormat
from app.openai.service import ModelServices
from app.openai.translate import response_ids as ids
from app.openai.translate.constraints import ANY_OBJECT, json_schema
from app.openai.translate.response_input import image_sources, input_messages
from app.openai.translate.response_tools import response_tools
from app.openai.translate.responses import ResponseHead, head_of_turn, request_fields
from app.openai.translate.sampling import sampling_options
from app.openai.translate.tools import ChosenTools
from app.provider.types import Constraint, Message, Sampling
from app.templates.rendering import CompiledTemplate, fill_variables

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class ResponseServices(ModelServices):
    """The same with the stored conversations."""

    conversations: ConversationServices


@dataclass(frozen=True, slots=True)
class AskedResponse:
    """A turn that is ready to be answered, and what the response begins with.

    ``skipped`` are the types of the tools that are not run here.
    """

    turn: Turn
    head: ResponseHead
    skipped: tuple[str, ...]


async def ask_response(services: ResponseServices, body: ResponseBody) -> AskedResponse:
    """The turn that a body asks for; nothing is stored before it is read."""
    asked, tools = await resolve_input(services, body)
    named = asked.base.conversation_id if asked.base and body.conversation else None
    request = request_fields(body, named)
    most = body.max_output_tokens or asked.sampling.max_tokens  # a preset's template may say so
    asked = replace(
        asked,
        options=replace(asked.options, logprobs=body.logprobs),
        sampling=structs.replace(asked.sampling, max_tokens=most),
        request=request,
    )
    make = stored_turn if body.store else unstored_turn
    turn = make(services.conversations, asked)
    return AskedResponse(turn, head_of_turn(turn, request), tools.skipped)


async def resolve_input(
    services: ResponseServices, body: ResponseFields
) -> tuple[InputRequest, ChosenTools]:
    """Find what the input follows, choose the model, then decode the images.

    A request that is refused costs no decoding.
    """
    base = await find_base(services, body)
    items = await with_references(services.conversations.database, services.owner, body.input)
    tools = response_tools(body)
    if tools.skipped:
        log.info("skipped tools of the types %s", ", ".join(map(repr, tools.skipped)))
    sources = image_sources(items)
    model = await _find_model(services, body.model, base, images=bool(sources))
    given = input_messages(items, await decode_images(services.intake, model.card, sources))
    if not given:
        raise InvalidParameter("/input", "There is no message to answer.", "invalid_value")
    asked = InputRequest(
        owner=services.owner,
        model=model.card,
        messages=given,
        base=base,
        system=body.instructions or await _system_text(model.template, given),
        sampling=_sampling(body, model.template),
        options=_options(body, tools),
        overflow="drop_oldest" if body.truncation == "auto" else "error",
        defaults={"model": model.card.id} if body.model else {},
    )
    return asked, tools


async def _find_model(
    services: ResponseServices, name: str | None, base: Base | None, *, images: bool
) -> ChosenModel:
    """The model of the request, else that of the conversation, else the default one."""
    if name is None and base:
        key = services.owner, base.conversation_id
        name = (await read_defaults(services.conversations, *key)).get("model")
    chosen = await choose_model(services.pool, name, services.find_template, images=images)
    if chosen.named:
        detail = "Responses take no prompt template: name a model alone, and give instructions."
        raise InvalidParameter("/model", detail)
    if chosen.template and chosen.template.user:
        detail = "The template of this preset puts text around questions, which responses do not."
        raise InvalidParameter("/model", detail)
    return chosen


async def _system_text(template: CompiledTemplate | None, given: Sequence[Message]) -> str | None:
    """That of a preset's template, where no message stands in its place."""
    if template is None or any(one.instructs for one in given):
        return None
    values = fill_variables(template.template, {})
    return await asyncio.to_thread(template.render_system, values)


def _sampling(body: ResponseFields, template: CompiledTemplate | None) -> Sampling:
    options = sampling_options(body, None)
    if template:
        options = options.with_defaults(template.template.sampling)
    return options.to_sampling()


async def find_base(services: ResponseServices, body: ResponseFields) -> Base | None:
    """What the input follows; raises InvalidParameter, ConversationNotFound."""
    if body.previous_response_id:
        return await _behind(services, body.previous_response_id)
    if body.conversation is None:
        return None
    conversation_id = ids.conversation_of(body.conversation)
    if conversation_id is None:
        raise ConversationNotFound(body.conversation)
    try:
        await read_defaults(services.conversations, services.owner, conversation_id)
    except ConversationNotFound:
        raise ConversationNotFound(body.conversation) from None
    return Base(conversation_id)


async def _behind(services: ResponseServices, name: str) -> Base:
    try:
        found = await read_response(services, name)
    except ResponseNotFound:
        detail = f"Previous response with id {name[:100]!r} not found."
        code = "previous_response_not_found"
        raise InvalidParameter("/previous_response_id", detail, code) from None
    return Base(found.row.conversation_id, found.row.id)


async def read_response(services: ResponseServices, name: str) -> StoredAnswer:
    """The stored answer that a response is; raises ResponseNotFound."""
    key = ids.answer_key(name)
    if key is None:
        raise ResponseNotFound(name)
    database = services.conversations.database
    try:
        found = await database.read(answers.read_answer, services.owner, *key)
    except (ConversationNotFound, MessageNotFound, InvalidRequest):
        raise ResponseNotFound(name) from None
    if found.request.get("deleted"):
        raise ResponseNotFound(name)
    return found


async def cancel(services: ResponseServices, name: str) -> StoredAnswer:
    """Stop a response that is being made, and read it; raises ResponseNotFound."""
    found = await read_response(services, name)
    if found.row.status != "generating":
        return found
    await stop(services.conversations, services.owner, found.row.conversation_id)
    return await read_response(services, name)


async def remove(services: ResponseServices, name: str) -> None:
    """Delete a response; raises ResponseNotFound.

    With its input it may be all that there is of a conversation, which is deleted then. Otherwise
    both are deleted as far as no others follow them. In a conversation that the client named they
    remain.
    """
    found = await cancel(services, name)
    database, owner = services.conversations.database, services.owner
    named = found.request.get("shown", {}).get("conversation")
    key = (found.row.conversation_id, found.row.id)
    if not named and await database.read(read_messages.stands_alone, owner, found):
        await database.delete(conversations.remove, owner, key[0])
        return
    behind = found.request.get("behind")
    await database.write(messages.store_request, *key, {"deleted": True, "behind": behind})
    if not named and "behind" in found.request:
        await database.delete(last_messages.remove_branch_end, owner, *key, behind)


def _options(body: ResponseFields, tools: ChosenTools) -> AnswerOptions:
    effort = thinking_options(body.reasoning.effort) if body.reasoning.effort else None
    return AnswerOptions(
        tools=tools.tools,
        tool_choice=tools.choice,
        constraint=_constraint(body.text.format),
        thinking=True,
        thinking_budget=effort.budget if effort else None,
        template_variables=json.dumps(effort.variables) if effort else "",
    )


def _constraint(wanted: TextFormat) -> Constraint | None:
    if wanted.type == "text":
        return None
    schema = wanted.json_schema if wanted.type == "json_schema" else None
    return json_schema(ANY_OBJECT if schema is None else schema)
