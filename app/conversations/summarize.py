"""Lets the model summarize the beginning of a conversation that no longer fits."""

from __future__ import annotations

from collections.abc import Sequence

from app.chat.answer import stream_answer
from app.chat.completion import collect
from app.conversations.store.tree import HistoryMessage
from app.conversations.target import GenerationTarget
from app.provider.errors import UnsupportedInput
from app.provider.types import Message, Prompt, Sampling, Size

TASK = (
    "You condense conversations. Write a summary of the conversation below, in its own language, "
    "as short notes. Keep names, numbers, decisions and open questions. Write nothing else."
)


async def summarize(
    target: GenerationTarget, history: Sequence[HistoryMessage], before: str | None, goal: Size
) -> str:
    """Summarize ``history`` and the summary ``before`` it in at most ``goal.tokens``.

    A part that is too long for the context is summarized piece by piece. Raises UnsupportedInput
    if the model writes nothing, so that no message is lost.
    """
    summary = before or ""
    sampling = Sampling(temperature=0.0, max_tokens=goal.tokens)
    rest = "\n".join(f"{message.role}: {message.transcript}" for message in history)
    while rest:
        piece = rest
        prompt = _build_prompt(target, summary, piece, sampling)
        while len(piece) > 1 and not await _fits(target, prompt, goal):
            piece = piece[: len(piece) // 2]
            prompt = _build_prompt(target, summary, piece, sampling)
        summary = await _generate(target, prompt)
        rest = rest[len(piece) :]
    return summary


async def _fits(target: GenerationTarget, prompt: Prompt, goal: Size) -> bool:
    size = await target.pool.size(target.model.without_preset(), prompt)
    return size.tokens <= goal.limit - goal.tokens


def _build_prompt(target: GenerationTarget, summary: str, piece: str, sampling: Sampling) -> Prompt:
    text = f"Summary of what came before:\n{summary}\n\n{piece}" if summary else piece
    messages = (Message.of("system", TASK), Message.of("user", text))
    return Prompt(messages, sampling, target.owner, affinity=target.affinity)


async def _generate(target: GenerationTarget, prompt: Prompt) -> str:
    model = target.model.without_preset()
    text = (await collect(stream_answer(target.pool, model, prompt))).text.strip()
    if not text:  # a model that thinks for all of its tokens, for example
        raise UnsupportedInput(
            "The model wrote no summary of the earlier messages: use the overflow drop_oldest, "
            "or another model."
        )
    return text
