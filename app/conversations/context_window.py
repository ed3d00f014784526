"""The part of a branch that the model reads: everything, or as much as fits.

A prompt is submitted with the room that its answer needs. Only if the engine refuses it is a
shorter window looked for, by measuring. The overflow contract decides how: ``error`` refuses a
branch that does not fit, ``drop_oldest`` leaves out the oldest exchanges, ``summarise`` replaces
them by a summary. The system text and the newest question always stay. A truncation shortens the
window to half of the context and is stored, so that the prompts of later turns begin with the same
tokens, which the engine has cached. A window has at most ``GenerationTarget.max_images`` images; an
image is left out with its whole exchange.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from app.chat.request import Overflow
from app.conversations.errors import HistoryTooLong, ModelCannotSee
from app.conversations.store import parts
from app.conversations.store.images import Attachment
from app.conversations.store.tree import HistoryMessage
from app.conversations.store.truncation import WindowStart
from app.conversations.summarize import summarize
from app.conversations.target import GenerationTarget
from app.provider.card import ModelCard
from app.provider.errors import ContextOverflow, UnsupportedInput
from app.provider.types import ImagePart, Message, Part, Prompt, Size, TextPart


@dataclass(frozen=True, slots=True)
class ContextWindow:
    """A prompt, its size, and where in the branch it begins."""

    prompt: Prompt
    size: Size
    start: WindowStart


def whole_prompt(
    target: GenerationTarget,
    history: Sequence[HistoryMessage],
    start: WindowStart,
    overflow: Overflow,
) -> Prompt | None:
    """The prompt of all messages from ``start`` on, which ends with the question.

    It asks for room for the answer if leaving out messages can make room. None: there are too many
    messages or images, so the window has to be shortened whatever fits. Raises HistoryTooLong or
    UnsupportedInput if it may not be.
    """
    shown = history[start.index :]
    if overflow == "error":
        _require_nothing_left_out(target, shown)
        return build_prompt(target, history, start)
    if len(shown) == 1:
        return build_prompt(target, history, start)
    if len(shown) - 1 > target.max_messages or _count_images(shown) > target.max_images:
        return None
    return build_prompt(target, history, start, target.answer_tokens)


def prompt_size(refusal: ContextOverflow, prompt: Prompt) -> Size:
    """The size of a prompt that the engine refused, without the room that it asked for."""
    room = min(prompt.answer_room, refusal.limit // 4)
    return Size(refusal.needed - room, refusal.limit)


def build_prompt(
    target: GenerationTarget,
    history: Sequence[HistoryMessage],
    start: WindowStart,
    answer_room: int = 0,
) -> Prompt:
    """The prompt of the messages from ``start`` on, after the system text and the summary."""
    texts = [_system_text(target, start), _summary_text(start)]
    system = "\n\n".join(text for text in texts if text)
    messages = [Message.of("system", system)] if system else []
    messages += [message_value(each) for each in history[start.index :]]
    options = target.options
    return Prompt(
        tuple(messages),
        target.sampling,
        target.owner,
        answer_room,
        options.tools,
        options.tool_choice,
        options.constraint,
        options.logprobs,
        thinking=options.thinking,
        thinking_budget=options.thinking_budget,
        template_variables=options.template_variables,
        affinity=target.affinity,
    )


def _system_text(target: GenerationTarget, start: WindowStart) -> str:
    """The system text; a preset's only where a summary makes a system message without it."""
    preset = target.model.preset if start.summary else None
    return target.system or (preset.system if preset else "")


def message_value(message: HistoryMessage) -> Message:
    """A message with its parts, or its images before its text; images need their content."""
    images = [_image_part(image) if image.content else None for image in message.images]
    ordinary: tuple[Part, ...] = (*(parts.IMAGE for _ in images), TextPart(message.text))
    return Message(message.role, parts.with_images(message.parts or ordinary, iter(images)))


def _image_part(image: Attachment) -> ImagePart:
    return ImagePart(
        image.content,
        image.sha256,
        image.width,
        image.height,
        image.original.mime,
        image.notes,
    )


def _summary_text(start: WindowStart) -> str:
    return f"Summary of the conversation so far:\n{start.summary}" if start.summary else ""


async def shorten_window(
    target: GenerationTarget,
    history: Sequence[HistoryMessage],
    overflow: Overflow,
    start: WindowStart,
    size: Size,
) -> ContextWindow:
    """A window that begins later than ``start``, from where the prompt has ``size``.

    ``history`` ends with the question. Raises ContextOverflow if the question alone is too long,
    UnsupportedInput if the model writes no summary.
    """
    if overflow == "summarise":
        return _require_fits(await _with_summary(target, history, start, size))
    at = await _find_start(target, history, start, size.limit // 2)
    return _require_fits(await build_window(target, history, WindowStart(at)))


def _require_nothing_left_out(target: GenerationTarget, shown: Sequence[HistoryMessage]) -> None:
    """Raise HistoryTooLong or UnsupportedInput if there are too many messages or images."""
    if len(shown) - 1 > target.max_messages:
        raise HistoryTooLong(len(shown) - 1, target.max_messages)
    if (count := _count_images(shown)) > target.max_images:
        raise UnsupportedInput(
            f"The conversation has {count} images; {target.model.id} is shown "
            f'{target.max_images} at most. Let "overflow" be "drop_oldest" or "summarise".'
        )


def _count_images(history: Sequence[HistoryMessage]) -> int:
    return sum(len(message.images) for message in history)


def max_images(card: ModelCard, most: int) -> int:
    """How many images of a prompt the model takes; 0 for a text-only model."""
    if card.vision is None:
        return 0
    return min(most, card.vision.max_images or most)


def require_vision(target: GenerationTarget, history: Sequence[HistoryMessage]) -> None:
    """Raise ModelCannotSee, or UnsupportedInput for a question with too many images."""
    if _count_images(history) and not target.max_images:
        raise ModelCannotSee(target.model.id, target.pool.vision_models())
    if (count := len(history[-1].images)) > target.max_images:
        raise UnsupportedInput(
            f"The question has {count} images; {target.model.id} takes {target.max_images} at most."
        )


def _require_fits(window: ContextWindow) -> ContextWindow:
    if window.size.tokens > window.size.limit:
        raise ContextOverflow(window.size.tokens, window.size.limit)
    return window


async def build_window(
    target: GenerationTarget, history: Sequence[HistoryMessage], start: WindowStart
) -> ContextWindow:
    """Make a window and have the engine measure it."""
    prompt = build_prompt(target, history, start)
    return ContextWindow(prompt, await target.pool.size(target.model, prompt), start)


async def _with_summary(
    target: GenerationTarget, history: Sequence[HistoryMessage], start: WindowStart, size: Size
) -> ContextWindow:
    limit = size.limit
    at = await _find_start(target, history, start, limit // 2 - limit // 8)
    part = history[start.index : at]
    summary = await summarize(target, part, start.summary, Size(limit // 8, limit))
    return await build_window(target, history, WindowStart(at, summary))


async def _find_start(
    target: GenerationTarget, history: Sequence[HistoryMessage], shown: WindowStart, goal: int
) -> int:
    """The index of the first exchange from which the window takes at most ``goal`` tokens.

    It is that of ``shown`` if this begins with the last one.
    """
    starts = _exchange_starts(history, shown.index + 1) or [shown.index]
    most = target.max_messages * 3 // 4
    images = max(target.max_images * 3 // 4, len(history[-1].images))
    low, high = 0, len(starts) - 1
    while low < high:
        middle = (low + high) // 2
        at = starts[middle]
        fits = len(history) - 1 - at <= most and _count_images(history[at:]) <= images
        if fits and (await build_window(target, history, WindowStart(at))).size.tokens <= goal:
            high = middle
        else:
            low = middle + 1
    return starts[low]


def _exchange_starts(history: Sequence[HistoryMessage], first: int) -> list[int]:
    """Where exchanges begin, from index ``first`` on: at questions.

    Developer messages directly before a question go with it.
    """
    starts: list[int] = []
    for at in range(first, len(history)):
        if history[at].role == "user":
            start = at
            while start > first and history[start - 1].role == "developer":
                start -= 1
            starts.append(start)
    return starts
