"""The part of a branch that the model reads: everything, or as much as fits.

The overflow contract decides: ``error`` refuses a branch that does not fit, ``drop_oldest`` leaves
out the oldest exchanges, ``summarise`` replaces them by a summary. The system text and the newest
question always stay. A truncation shortens the window to half of the context and is stored, so that
the prompts of later turns begin with the same tokens, which the engine has cached. A window has at
most ``GenerationTarget.max_images`` images; an image is left out with its whole exchange.
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


def build_prompt(
    target: GenerationTarget, history: Sequence[HistoryMessage], start: WindowStart
) -> Prompt:
    """The prompt of the messages from ``start`` on, after the system text and the summary."""
    texts = [target.system or "", _summary_text(start)]
    system = "\n\n".join(text for text in texts if text)
    messages = [Message.of("system", system)] if system else []
    messages += [_message(each) for each in history[start.index :]]
    return Prompt(tuple(messages), target.sampling, target.owner)


def _message(message: HistoryMessage) -> Message:
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


async def fit_window(
    target: GenerationTarget,
    history: Sequence[HistoryMessage],
    overflow: Overflow,
    whole: ContextWindow,
) -> ContextWindow:
    """``whole`` if it leaves room for an answer, else a shorter window.

    ``history`` ends with the question. Raises ContextOverflow, HistoryTooLong or UnsupportedInput
    if the window is too long and cannot or may not be shortened.
    """
    shown = history[whole.start.index :]
    if overflow == "error":
        _require_nothing_left_out(target, shown)
        return _require_fits(whole)
    if len(shown) == 1 or _has_room(target, shown, whole.size):
        return _require_fits(whole)
    if overflow == "summarise":
        return _require_fits(await _with_summary(target, history, whole))
    at = await _find_start(target, history, whole.start, whole.size.limit // 2)
    return _require_fits(await build_window(target, history, WindowStart(at)))


def _has_room(target: GenerationTarget, shown: Sequence[HistoryMessage], size: Size) -> bool:
    """Whether there is room for an answer, and not too many messages or images."""
    room = size.limit - min(target.answer_tokens, size.limit // 4)
    few = len(shown) - 1 <= target.max_messages and _count_images(shown) <= target.max_images
    return size.tokens <= room and few


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
    target: GenerationTarget, history: Sequence[HistoryMessage], whole: ContextWindow
) -> ContextWindow:
    limit = whole.size.limit
    at = await _find_start(target, history, whole.start, limit // 2 - limit // 8)
    part = history[whole.start.index : at]
    goal = Size(limit // 8, limit)
    summary = await summarize(target, part, whole.start.summary, goal)
    return await build_window(target, history, WindowStart(at, summary))


async def _find_start(
    target: GenerationTarget, history: Sequence[HistoryMessage], shown: WindowStart, goal: int
) -> int:
    """The index of the first exchange from which the window takes at most ``goal`` tokens."""
    starts = _exchange_starts(history, shown.index + 1)
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
