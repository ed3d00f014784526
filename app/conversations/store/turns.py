"""One turn in the database: how it begins, and who is to stop it.

The row of a running answer has the status ``generating`` and holds a lease. ``store/progress.py``
saves it while it runs, and ``store/endings.py`` stores how it ended.
"""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import and_, bindparam, select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from app.chat.request import TurnRequest, Unset
from app.conversations.errors import ConversationBusy
from app.conversations.store import conversations, endings, images, messages, rows, search, tree
from app.conversations.store.images import Attachment
from app.conversations.store.messages import Added, new_extra
from app.conversations.store.rows import ConversationRow, IndexedMessage, MessageRow
from app.conversations.store.tree import HistoryMessage, Position
from app.conversations.target import GenerationTarget
from app.errors import InvalidRequest
from app.provider.types import Message as MessageValue
from app.provider.types import ToolResultPart
from app.storage.ids import now
from app.storage.tables import Message

LEASE_MILLISECONDS = 15_000
"""An answer whose lease was not renewed for this time counts as abandoned."""

# Statements of every turn are built once: building them takes longer than running them.
_OF_CONVERSATION = select(Message).where(Message.conversation_id == bindparam("conversation"))
_RUNNING = _OF_CONVERSATION.where(Message.status == "generating").with_for_update()
_ANY_RUNNING = select(Message.seq).where(
    Message.conversation_id == bindparam("conversation"), Message.status == "generating"
)
_STEP_UP = select(
    Message.parent_id, and_(Message.role == "assistant", Message.content != "")
).where(Message.conversation_id == bindparam("conversation"), Message.id == bindparam("id"))
_ANSWER = _OF_CONVERSATION.where(Message.id == bindparam("id"))


def begin(
    session: Session,
    request: TurnRequest,
    target: GenerationTarget,
    attachments: Sequence[Attachment] = (),
) -> list[HistoryMessage]:
    """Store the question and an empty answer; return the branch up to the question.

    Raises ConversationNotFound, MessageNotFound, InvalidRequest for a parent that is not an
    answer, and ConversationBusy while another answer is being made.
    """
    earlier: Sequence[IndexedMessage] = ()
    if request.conversation_id is None:
        found, added = _create(session, request, target)
        position, earlier = added.position, added.listed
        history = tree.history(session, found.id, position.last_id) if position.last_id else []
    else:
        found = _lock_for_turn(session, target)
        parent_id = _parent_id(session, found, request)
        history, position = tree.history_before(session, found.id, parent_id)
    question = _add_question(session, position, request, target)
    _add_answer(session, target)
    images.attach_images(session, found.id, target.question_id, attachments)
    search.index_messages(session, found, [*earlier, question])
    return [*history, HistoryMessage(target.question_id, "user", target.question)]


def begin_again(session: Session, target: GenerationTarget) -> list[HistoryMessage]:
    """Store another answer to the target's question; otherwise like ``begin``."""
    found = _lock_for_turn(session, target)
    _add_answer(session, target)
    return tree.history(session, found.id, target.question_id)


def begin_after_results(
    session: Session,
    calls_id: str,
    results: Sequence[ToolResultPart],
    target: GenerationTarget,
) -> list[HistoryMessage]:
    """Store the results of tool calls and an empty answer behind them; otherwise like ``begin``."""
    found = _lock_for_turn(session, target)
    position = tree.position_behind(session, found.id, calls_id)
    stored = [MessageValue("tool", tuple(results))]
    position = messages.add_messages(session, found.id, position, stored).position
    _add_answer(session, target, position.previous_id)
    return tree.history(session, found.id, position.last_id)


def history_before(session: Session, owner: str, request: TurnRequest) -> list[HistoryMessage]:
    """The messages that ``begin`` would find before the question; stores nothing."""
    found = conversations.read_row(session, owner, request.conversation_id or "")
    return tree.history_before(session, found.id, _parent_id(session, found, request))[0]


def _create(
    session: Session, request: TurnRequest, target: GenerationTarget
) -> tuple[ConversationRow, Added]:
    """A new conversation with the messages of the request's history."""
    questions = (message.text for message in request.history if message.role == "user")
    title = conversations.title_from_question(next(questions, request.message))
    made = conversations.create(
        session, target.owner, target.conversation_id, title, target.changed_defaults
    )
    return made, messages.add_messages(session, made.id, Position(), request.history)


def _lock_for_turn(session: Session, target: GenerationTarget) -> ConversationRow:
    found = conversations.read_row(session, target.owner, target.conversation_id, lock=True)
    _require_idle(session, found)
    if target.changed_defaults:
        setup = {**found.setup, **target.changed_defaults}
        rows.update_conversation(session, found.id, setup=setup)
    return found


def _parent_id(session: Session, found: ConversationRow, request: TurnRequest) -> str | None:
    """The message that the question follows; raises MessageNotFound, InvalidRequest."""
    if isinstance(request.parent_id, Unset):
        return _last_answered(session, found)
    if request.parent_id is not None:
        parent = tree.find_message(session, found.id, request.parent_id)
        if parent.role != "assistant":
            raise InvalidRequest("/parent_id", "A question follows an answer, not a question.")
    return request.parent_id


def _last_answered(session: Session, found: ConversationRow) -> str | None:
    """The active leaf, or the last answer above it that is not empty.

    Questions without an answer and empty answers are skipped: the next question becomes their
    sibling.
    """
    message_id = found.active_leaf_id
    while message_id is not None:
        values = {"conversation": found.id, "id": message_id}
        # Not through the session: its overhead would be three quarters of the time.
        parent_id, answers = session.connection().execute(_STEP_UP, values).one()
        if answers:
            return message_id
        message_id = parent_id
    return None


def _add_question(
    session: Session, position: Position, request: TurnRequest, target: GenerationTarget
) -> MessageRow:
    seq = rows.insert_message(
        session,
        id=target.question_id,
        conversation_id=target.conversation_id,
        parent_id=position.parent_id,
        role="user",
        status="complete",
        content=request.message,
        prompt=target.question if target.question != request.message else None,
        created_at=now(),
    )
    question = MessageValue.of("user", request.message)
    ids = (target.conversation_id, target.question_id)
    if (extra := new_extra(*ids, question, position.previous_id)) is not None:
        session.add(extra)
    return MessageRow(seq, position.parent_id, request.message, "complete")


def _add_answer(session: Session, target: GenerationTarget, previous_id: str | None = None) -> None:
    moment = now()
    try:
        rows.insert_message(
            session,
            id=target.answer_id,
            conversation_id=target.conversation_id,
            parent_id=target.question_id,
            role="assistant",
            status="generating",
            content="",
            model=target.model.id,
            created_at=moment,
            lease_until=moment + LEASE_MILLISECONDS,
        )
    except IntegrityError as error:
        raise ConversationBusy from error  # the index one_turn: another server was faster
    leaf, answer = target.answer_id, MessageValue.of("assistant", "")
    if (extra := new_extra(target.conversation_id, leaf, answer, previous_id)) is not None:
        session.add(extra)
    rows.update_conversation(
        session, target.conversation_id, active_leaf_id=leaf, updated_at=moment
    )


def _require_idle(session: Session, found: ConversationRow) -> None:
    here = {"conversation": found.id}
    if session.connection().execute(_ANY_RUNNING, here).first() is None:
        return
    if (row := session.scalar(_RUNNING, here)) is None:
        return
    if (row.lease_until or 0) > now():
        raise ConversationBusy
    endings.fail(session, found, row)


# ---------------------------------------------------------------- while it runs


def request_stop(session: Session, owner: str, conversation_id: str) -> str | None:
    """Mark the running answer to be stopped; return its id, None if none is running."""
    conversations.find_owned(session, owner, conversation_id)
    running = (
        update(Message)
        .where(Message.conversation_id == conversation_id, Message.status == "generating")
        .values(stopping=True)
        .returning(Message.id)
    )
    return session.scalar(running)


def answer_status(session: Session, conversation_id: str, answer_id: str) -> str | None:
    """The status of the answer; None if it is gone."""
    row = session.scalar(_ANSWER, {"conversation": conversation_id, "id": answer_id})
    return row.status if row else None
