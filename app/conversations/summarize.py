"""Lets the model condense the beginning of a conversation that no longer fits."""

from __future__ import annotations

from collections.abc import Sequence

from app.chat.completion import collected
from app.conversations.store.tree import Said
from app.conversations.target import Stage
from app.provider.errors import UnsupportedInput
from app.provider.types import Message, Prompt, Sampling, Size

TASK = (
    "You condense conversations. Write a summary of the conversation below, in its own language, "
    "as short notes. Keep names, numbers, decisions and open questions. Write nothing else."
)


async def summarise(stage: Stage, said: Sequence[Said], before: str | None, goal: Size) -> str:
    """Condense ``said`` and the summary of what came ``before`` it into ``goal.tokens`` at most.

    A part that is too long for the context is condensed piece by piece. Raises UnsupportedInput
    when the model writes nothing: what was said must not be lost.
    """
    summary = before or ""
    sampling = Sampling(temperature=0.0, max_tokens=goal.tokens)
    rest = "\n".join(f"{one.role}: {one.text}" for one in said)
    while rest:
        piece = rest
        while not await _fits(stage, made := _prompt(summary, piece, sampling, stage.owner), goal):
            if len(piece) == 1:
                break  # the engine will say what is wrong
            piece = piece[: len(piece) // 2]
        summary = await _written(stage, made)
        rest = rest[len(piece) :]
    return summary


async def _fits(stage: Stage, made: Prompt, goal: Size) -> bool:
    return (await stage.pool.size(stage.model, made)).tokens <= goal.limit - goal.tokens


def _prompt(summary: str, piece: str, sampling: Sampling, owner: str) -> Prompt:
    told = f"Summary of what came before:\n{summary}\n\n{piece}" if summary else piece
    return Prompt((Message.of("system", TASK), Message.of("user", told)), sampling, owner)


async def _written(stage: Stage, made: Prompt) -> str:
    text, _ = await collected(stage.pool.stream(stage.model, made))
    if not text.strip():  # a model that thinks for all of its tokens, for example
        raise UnsupportedInput(
            "The model wrote no summary of the earlier messages: use the overflow drop_oldest, "
            "or another model."
        )
    return text.strip()
