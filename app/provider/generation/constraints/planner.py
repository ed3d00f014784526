"""From a prompt to the guide of its answer."""

from __future__ import annotations

from dataclasses import dataclass, replace

from msgspec import structs

from app.provider.engine import Deferred
from app.provider.errors import UnsupportedConstraint, UnsupportedInput
from app.provider.generation.constraints.answer_grammar import (
    AnswerGrammar,
    answer_grammar,
    is_constrained,
)
from app.provider.generation.constraints.call_trigger import CallTrigger
from app.provider.generation.constraints.compiler import GrammarCompiler
from app.provider.generation.constraints.guide import FORCED_AT_ONCE, AnswerGuide, LogitBias
from app.provider.generation.constraints.matcher import Matcher
from app.provider.generation.constraints.thinking_phase import ThinkingPhase, ThinkingPlan
from app.provider.generation.constraints.thinking_plan import ThinkingPlanner
from app.provider.generation.constraints.tool_grammar import EXACT, Bounds
from app.provider.generation.model_tokenizer import ModelTokenizer
from app.provider.generation.prepared_prompt import PreparedPrompt
from app.provider.types import Prompt, Tool, ToolChoice

MOST_FORCED = 192
"""Forced tokens of all answers in one step: they share a batch with pieces of prompts."""


@dataclass(frozen=True, slots=True)
class GuidePlan:
    """Makes the guides of answers to one prompt; it is called with their most tokens."""

    vocabulary: ModelTokenizer
    at_once: int
    bias: LogitBias | None
    thinking: ThinkingPlan | None
    grammar: AnswerGrammar | None = None
    matcher: Matcher | None = None

    def __call__(self, limit: int) -> AnswerGuide:
        """The guide of an answer of at most so many tokens."""
        matcher = self.matcher.copy() if self.matcher else None
        trigger = None
        if matcher and self.grammar and self.grammar.openings:
            at_start = self.grammar.at_start
            trigger = CallTrigger(matcher, self.grammar.openings, at_start=at_start)
        return AnswerGuide(
            text_of=self._text_of,
            matcher=None if trigger else matcher,
            thinking=ThinkingPhase(self.thinking, limit, self._text_of) if self.thinking else None,
            trigger=trigger,
            bias=self.bias,
            at_once=self.at_once,
        )

    def _text_of(self, token: int) -> bytes:
        return self.vocabulary.piece(token, keep_special=True) or b""


class GuidePlanner:
    """Plans the guides of one model's answers, of which ``slots`` run at once."""

    def __init__(self, vocabulary: ModelTokenizer, slots: int) -> None:
        self._vocabulary = vocabulary
        self._compiler = GrammarCompiler(vocabulary.token_table)
        self._thinking = ThinkingPlanner(vocabulary)
        self._at_once = min(FORCED_AT_ONCE, MOST_FORCED // slots)

    def guided(self, prompt: Prompt, prepared: PreparedPrompt) -> PreparedPrompt | Deferred:
        """Add a guide to a prompt that asks for one; raises UnsupportedInput."""
        bias = self._bias(prompt)
        if not is_constrained(prompt):
            thinking = self._thinking.plan(prompt, prepared, bound=False)
            if bias is None and thinking is None:
                return prepared
            plan = GuidePlan(self._vocabulary, self._most_forced(prompt), bias, thinking)
            return replace(prepared, guide=plan)
        if self._compiler.ready:
            grammar = answer_grammar(prompt, prepared.output_format, self._compiler.table)
            if (found := self._compiler.find(grammar.grammar)) is not None:
                return self._bound(prompt, prepared, bias, grammar, found)
        return Deferred(
            prompt.owner,
            prepared.prompt_tokens,
            self._compiler.warm_up,
            lambda: self._bound(prompt, prepared, bias, *self._compiled(prompt, prepared)),
        )

    def _bias(self, prompt: Prompt) -> LogitBias | None:
        bias, size = prompt.sampling.logit_bias, self._vocabulary.size
        for token, _ in bias:
            if not 0 <= token < size:
                raise UnsupportedInput(
                    f"logit_bias names the token {token}, but this model has {size} tokens."
                )
        return LogitBias(bias) if bias else None

    def _bound(
        self,
        prompt: Prompt,
        prepared: PreparedPrompt,
        bias: LogitBias | None,
        grammar: AnswerGrammar,
        matcher: Matcher,
    ) -> PreparedPrompt:
        thinking = self._thinking.plan(prompt, prepared, bound=not grammar.openings)
        most = self._most_forced(prompt)
        plan = GuidePlan(self._vocabulary, most, bias, thinking, grammar, matcher)
        return replace(prepared, guide=plan)

    def _most_forced(self, prompt: Prompt) -> int:
        """Forced tokens in one step: none where each needs its own log-probability."""
        return self._at_once if prompt.logprobs is None else 0

    # ---------------------------------------------------------------- grammars

    def _compiled(self, prompt: Prompt, prepared: PreparedPrompt) -> tuple[AnswerGrammar, Matcher]:
        """Compile the grammar of an answer; raises UnsupportedConstraint.

        Where it cannot be enforced, schemas of tools that are not strict are loosened as needed.
        """
        try:
            whole = self._grammar(prompt, prepared)
            return whole, self._compiler.compile(whole.grammar)
        except UnsupportedConstraint:
            bounds = self._bounds(prompt, prepared)
            if bounds == EXACT:
                raise
        looser = self._grammar(prompt, prepared, bounds)
        matcher = self._compiler.compile(looser.grammar)
        self._compiler.keep(whole.grammar, matcher)  # so that the next request finds it
        return looser, matcher

    def _bounds(self, prompt: Prompt, prepared: PreparedPrompt) -> Bounds:
        """Which tools' schemas cannot be enforced; raises UnsupportedConstraint for strict ones."""
        loose, free = set(), set()
        for tool in prompt.tools:
            if not self._enforces(tool, prompt, prepared, EXACT):
                loose.add(tool.name)
                if not self._enforces(tool, prompt, prepared, Bounds(frozenset(loose))):
                    free.add(tool.name)
        return Bounds(frozenset(loose), frozenset(free))

    def _enforces(
        self, tool: Tool, prompt: Prompt, prepared: PreparedPrompt, bounds: Bounds
    ) -> bool:
        """Whether the schema of a tool can be enforced, by itself."""
        alone = structs.replace(prompt, tools=(tool,), tool_choice=ToolChoice("required"))
        try:
            self._compiler.compile(self._grammar(alone, prepared, bounds).grammar)
        except UnsupportedConstraint as error:
            if tool.strict:
                raise UnsupportedConstraint(f"The tool {tool.name}: {error}") from error
            return False
        return True

    def _grammar(
        self, prompt: Prompt, prepared: PreparedPrompt, bounds: Bounds = EXACT
    ) -> AnswerGrammar:
        return answer_grammar(prompt, prepared.output_format, self._compiler.table, bounds)
