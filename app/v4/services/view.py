"""What the model is shown of a branch: everything, or as much as fits by the overflow contract.

``error`` shows all or refuses. ``drop_oldest`` leaves out the oldest exchanges; ``summarise`` lets
the model condense them first. The system text and the newest question always stay. A cut takes the
view down to half of the context and is kept, so that the turns after it begin with the same tokens
and the engine need not compute them again.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

from app.errors import HistoryTooLong
from app.provider.errors import ContextOverflow
from app.provider.types import Message, Prompt, Size
from app.v4.services.stage import Stage
from app.v4.services.summary import summarise
from app.v4.store.cuts import Beginning
from app.v4.store.tree import Said

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
    messages += [Message.of(one.role, one.text) for one in said[beginning.at :]]
    return Prompt(tuple(messages), stage.sampling, stage.owner)


def _told(summary: str | None) -> str:
    return f"Summary of the conversation so far:\n{summary}" if summary else ""


async def fitted(stage: Stage, said: Sequence[Said], overflow: Overflow, whole: View) -> View:
    """``whole`` if it leaves room for an answer, else a shorter view by the contract.

    ``said`` ends with the question. Raises ContextOverflow where even that is too long, or where
    nothing may be left out, HistoryTooLong likewise.
    """
    earlier = len(said) - 1 - whole.beginning.at
    if overflow == "error":
        if earlier > stage.longest:
            raise HistoryTooLong(earlier, stage.longest)
        return _checked(whole)
    room = whole.size.limit - min(stage.answer_tokens, whole.size.limit // 4)
    if earlier == 0 or (whole.size.tokens <= room and earlier <= stage.longest):
        return _checked(whole)
    shown = whole.beginning
    if overflow == "summarise":
        return _checked(await _summarised(stage, said, whole))
    at = await _shortened(stage, said, shown, whole.size.limit // 2)
    return _checked(await look(stage, said, Beginning(at)))


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
    low, high = 0, len(starts) - 1
    while low < high:
        middle = (low + high) // 2
        at = starts[middle]
        fits = len(said) - 1 - at <= most
        if fits and (await look(stage, said, Beginning(at))).size.tokens <= goal:
            high = middle
        else:
            low = middle + 1
    return starts[low]
