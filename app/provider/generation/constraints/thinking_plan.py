"""How a model thinks before an answer: by its vocabulary, its format and the prompt."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from app.provider.formats.output_formats import GEMMA4, HARMONY
from app.provider.formats.thinking import MARKERS
from app.provider.generation.constraints.thinking_phase import ThinkingPlan
from app.provider.generation.model_tokenizer import ModelTokenizer
from app.provider.generation.prepared_prompt import PreparedPrompt
from app.provider.types import Prompt

_TAIL = 24
"""Tokens at the end of a prompt in which the header of the answer closes thinking."""


@dataclass(frozen=True, slots=True)
class _Style:
    """Texts around thinking: ``forced`` is written where it must end."""

    opening: str
    closing: str
    forced: str
    between: str = ""


_TAGS = {one.close: _Style(one.open, one.close, f"\n{one.close}\n\n", "\n\n") for one in MARKERS}
_CHANNELS = {
    HARMONY.name: _Style(
        "<|channel|>analysis<|message|>",
        "<|end|>",
        "<|end|><|start|>assistant<|channel|>final<|message|>",
    ),
    GEMMA4.name: _Style("<|channel>thought\n", "<channel|>", "\n<channel|>"),
}
"""Formats in which thinking is a channel."""


class ThinkingPlanner:
    """Plans the thinking of one model's answers."""

    def __init__(self, vocabulary: ModelTokenizer) -> None:
        self._vocabulary = vocabulary

    def plan(self, prompt: Prompt, prepared: PreparedPrompt, *, bound: bool) -> ThinkingPlan | None:
        """The plan of an answer; None where nothing has to be watched.

        Answers that show no thinking and have no constraint are left alone. ``bound``: a grammar
        holds from the beginning of the answer on.
        """
        asked = prompt.thinking or prompt.thinking_budget is not None
        if not (bound or asked) or prepared.thinking is None or prompt.raw is not None:
            return None
        style = self._style(prepared)
        if style is None or (bound and style is _CHANNELS[HARMONY.name]):
            return None  # its grammar has the channel
        opening = self._tokens(style.opening)
        opened = bool(prepared.thinking.closing)
        if bound and not opened and len(opening) != 1:
            return None  # the model does not know the marker
        return ThinkingPlan(
            opened,
            style.opening.encode(),
            style.closing.encode(),
            self._tokens(style.forced),
            self._tokens(style.between),
            opening[0] if len(opening) == 1 else None,
            prompt.thinking_budget,
            bound,
        )

    def _style(self, prepared: PreparedPrompt) -> _Style | None:
        """How this answer would show thinking; None where the prompt has closed it already."""
        if prepared.output_format in _CHANNELS:
            return _CHANNELS[prepared.output_format]
        if prepared.thinking and prepared.thinking.closing:
            return _TAGS[prepared.thinking.closing]
        known = [one for one in _TAGS.values() if len(self._tokens(one.opening)) == 1]
        style = next(iter(known), _TAGS[MARKERS[0].close])
        return None if self._closed(prepared.tokens[-_TAIL:], style) else style

    def _closed(self, tokens: Sequence[int], style: _Style) -> bool:
        texts = (self._vocabulary.piece(one, keep_special=True) for one in tokens if one >= 0)
        return b"".join(text or b"" for text in texts).rstrip().endswith(style.closing.encode())

    def _tokens(self, text: str) -> tuple[int, ...]:
        """Tokens of a text in the middle of an answer: without a space that would begin it."""
        before = self._vocabulary.tokenize("\n")
        tokens = self._vocabulary.tokenize(f"\n{text}")
        joined = tokens[: len(before)] != before
        return tuple(self._vocabulary.tokenize(text) if joined else tokens[len(before) :])
