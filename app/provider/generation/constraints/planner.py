"""From a prompt to the guide of its answer."""

from __future__ import annotations

from dataclasses import replace

from app.provider.generation.constraints.compiler import GrammarCompiler
from app.provider.generation.constraints.grammar import grammar_of
from app.provider.generation.constraints.guide import AnswerGuide
from app.provider.generation.model_tokenizer import ModelTokenizer
from app.provider.generation.prepared_prompt import PreparedPrompt
from app.provider.types import Prompt


class GuidePlanner:
    """Plans the guides of one model's answers."""

    def __init__(self, vocabulary: ModelTokenizer) -> None:
        self._vocabulary = vocabulary
        self._compiler = GrammarCompiler(vocabulary.token_table)

    def guided(self, prompt: Prompt, prepared: PreparedPrompt) -> PreparedPrompt:
        """Add a guide to a prompt that asks for one; raises UnsupportedConstraint."""
        if not prompt.constraint:
            return prepared
        matcher = self._compiler.compile(grammar_of(prompt.constraint))
        bias = prompt.sampling.logit_bias
        return replace(prepared, guide=lambda _limit: AnswerGuide(matcher.copy(), bias))
