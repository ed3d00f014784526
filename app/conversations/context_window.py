"""What the model is shown of a branch: everything, or as much as fits by the overflow contract.

``error`` shows all or refuses. ``drop_oldest`` leaves out the oldest exchanges; ``summarise`` lets
the model condense them first. The system text and the newest question always stay. A cut takes the
view down to half of the context and is kept, so that the turns after it begin with the same tokens
and the engine need not compute them again. Pictures count like messages: a view shows at most
``Stage.images`` of them, and what is left out goes with its whole exchange.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

from app.conversations.errors import HistoryTooLong, ModelCannotSee
from app.conversations.store.images import Attached
from app.conversations.store.tree import Said
from app.conversations.store.truncation import Beginning
from app.conversations.summarize import summarise
from app.conversations.target import Stage
from app.provider.card import ModelCard
from app.provider.errors import ContextOverflow, UnsupportedInput
from app.provider.types import ImagePart, Message, Prompt, Size, TextPart

Overflow = Literal["error", "drop_oldest", "summarise"]


@dataclass(frozen=True, slots=True)
class View:
    """A prompt, how much of the context it takes, and where in the branch it begins."""

    prompt: Prompt
    size: Size
    beginning: Beginning


def prompt(stage: Stage, said: Sequence[Said], beginning: Beginning) -> Prompt:
    """The messages from ``beginning`` on, after the system text and the summary."""
    parts = [stage.system or "", _told(beginning.summary)]
    system = "\n\n".join(part for part in parts if part)
    messages = [Message.of("system", system)] if system else []
    messages += [_message(one) for one in said[beginning.at :]]
    return Prompt(tuple(messages), stage.sampling, stage.owner)


def _message(one: Said) -> Message:
    """What was said, after the pictures that are to be shown; those that are not lack content."""
    shown = [_part(image) for image in one.images if image.content]
    return Message(one.role, (*shown, TextPart(one.text)))


def _part(image: Attached) -> ImagePart:
    return ImagePart(
        image.content,
        image.sha256,
        image.width,
        image.height,
        image.original.mime,
        image.notes,
    )


def _told(summary: str | None) -> str:
    return f"Summary of the conversation so far:\n{summary}" if summary else ""


async def fitted(stage: Stage, said: Sequence[Said], overflow: Overflow, whole: View) -> View:
    """``whole`` if it leaves room for an answer, else a shorter view by the contract.

    ``said`` ends with the question. Raises ContextOverflow where even that is too long, or where
    nothing may be left out, HistoryTooLong likewise.
    """
    earlier = len(said) - 1 - whole.beginning.at
    if overflow == "error":
        _require_all(stage, said[whole.beginning.at :])
        return _checked(whole)
    room = whole.size.limit - min(stage.answer_tokens, whole.size.limit // 4)
    few = earlier <= stage.longest and _images(said[whole.beginning.at :]) <= stage.images
    if earlier == 0 or (whole.size.tokens <= room and few):
        return _checked(whole)
    shown = whole.beginning
    if overflow == "summarise":
        return _checked(await _summarised(stage, said, whole))
    at = await _shortened(stage, said, shown, whole.size.limit // 2)
    return _checked(await look(stage, said, Beginning(at)))


def _require_all(stage: Stage, said: Sequence[Said]) -> None:
    """Raise HistoryTooLong or UnsupportedInput where not all may be shown."""
    if len(said) - 1 > stage.longest:
        raise HistoryTooLong(len(said) - 1, stage.longest)
    if (count := _images(said)) > stage.images:
        raise UnsupportedInput(
            f"The conversation has {count} images; {stage.model} is shown {stage.images} at most. "
            'Let "overflow" be "drop_oldest" or "summarise".'
        )


def _images(said: Sequence[Said]) -> int:
    return sum(len(one.images) for one in said)


def most_images(card: ModelCard, most: int) -> int:
    """How many pictures of a prompt a model is shown; 0: it cannot see."""
    if card.vision is None:
        return 0
    return min(most, card.vision.max_images or most)


def require_sight(stage: Stage, said: Sequence[Said]) -> None:
    """Raise ModelCannotSee, or UnsupportedInput for a question with too many pictures."""
    if _images(said) and not stage.images:
        raise ModelCannotSee(stage.model, stage.pool.seeing())
    if (count := len(said[-1].images)) > stage.images:
        raise UnsupportedInput(
            f"The question has {count} images; {stage.model} takes {stage.images} at most."
        )


def _checked(view: View) -> View:
    if view.size.tokens > view.size.limit:
        raise ContextOverflow(view.size.tokens, view.size.limit)
    return view


async def look(stage: Stage, said: Sequence[Said], beginning: Beginning) -> View:
    """Make a view and have it measured."""
    made = prompt(stage, said, beginning)
    return View(made, await stage.pool.size(stage.model, made), beginning)


async def _summarised(stage: Stage, said: Sequence[Said], whole: View) -> View:
    limit = whole.size.limit
    at = await _shortened(stage, said, whole.beginning, limit // 2 - limit // 8)
    part = said[whole.beginning.at : at]
    goal = replace(whole.size, tokens=limit // 8)
    summary = await summarise(stage, part, whole.beginning.summary, goal)
    return await look(stage, said, Beginning(at, summary))


async def _shortened(stage: Stage, said: Sequence[Said], shown: Beginning, goal: int) -> int:
    """The first exchange from which on the view takes at most ``goal`` tokens, or the question."""
    starts = [at for at in range(shown.at + 1, len(said)) if said[at].role == "user"]
    most = stage.longest * 3 // 4
    images = max(stage.images * 3 // 4, len(said[-1].images))
    low, high = 0, len(starts) - 1
    while low < high:
        middle = (low + high) // 2
        at = starts[middle]
        fits = len(said) - 1 - at <= most and _images(said[at:]) <= images
        if fits and (await look(stage, said, Beginning(at))).size.tokens <= goal:
            high = middle
        else:
            low = middle + 1
    return starts[low]
