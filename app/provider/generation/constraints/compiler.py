"""Compiles grammars for one model with llguidance, and keeps the last ones."""

from __future__ import annotations

import re
import threading
from collections import OrderedDict
from collections.abc import Callable
from typing import Any

from app.provider.errors import UnsupportedConstraint
from app.provider.generation.constraints.grammar import Grammar
from app.provider.generation.constraints.matcher import LlguidanceMatcher, Matcher
from app.provider.generation.constraints.token_table import TokenTable

_KEYS = re.compile(r"Unimplemented keys: \[(.*)\]")
MOST_KEPT = 64
"""Compiled grammars; the least recently used one leaves."""


class GrammarCompiler:
    """Compiles grammars over the vocabulary of a model. For any thread, one compile at a time.

    Nothing is built before the first grammar comes: the tokens of a large vocabulary take more
    than 100 MB in the library.
    """

    def __init__(self, table: Callable[[], TokenTable]) -> None:
        self._read_table = table
        self._tokenizer: Any = None
        self._size = self._end = 0
        self._kept: OrderedDict[bytes, Matcher] = OrderedDict()
        self._lock = threading.Lock()
        self._compiling = threading.Lock()

    def find(self, grammar: Grammar) -> Matcher | None:
        """A matcher of a grammar that was compiled before."""
        with self._lock:
            kept = self._kept.get(grammar.digest)
            if kept is None:
                return None
            self._kept.move_to_end(grammar.digest)
            return kept.copy()

    def compile(self, grammar: Grammar) -> Matcher:
        """A matcher whose first mask is known to exist; raises UnsupportedConstraint."""
        with self._compiling:
            found = self.find(grammar)
            if found is not None:
                return found
            matcher = self._compiled(grammar)
            with self._lock:
                self._kept[grammar.digest] = matcher
                while len(self._kept) > MOST_KEPT:
                    self._kept.popitem(last=False)
            return matcher.copy()

    def _compiled(self, grammar: Grammar) -> Matcher:
        library = self._library()
        if self._tokenizer is None:
            table = self._read_table()
            self._tokenizer = _tokenizer(library, table)
            self._size, self._end = len(table.pieces), table.ends[0]
        made = library.LLMatcher(
            self._tokenizer, grammar.source, log_level=0, limits=_limits(library)
        )
        matcher = LlguidanceMatcher(made, self._size, self._end)
        if matcher.error:
            raise UnsupportedConstraint(_sentence(grammar, matcher.error))
        if matcher.forbidden().all() or matcher.error:  # references in a circle show only here
            reason = "no text matches it, or it refers to itself without an end"
            raise UnsupportedConstraint(_sentence(grammar, reason))
        return matcher

    @staticmethod
    def _library() -> Any:
        try:
            import llguidance  # noqa: PLC0415 - only answers with constraints need it
        except ImportError as error:
            raise UnsupportedConstraint(
                "Structured output and forced tool calls need the library llguidance, "
                "which is not installed or does not run here."
            ) from error
        return llguidance


class _Vocabulary:
    """A vocabulary as llguidance asks for it."""

    def __init__(self, table: TokenTable) -> None:
        self.tokens = table.pieces
        self.special_token_ids = sorted(table.special)
        self.eos_token_id = table.ends[0]
        self.bos_token_id = None
        self._table = table
        self.greedy: Callable[[str], list[int]] = lambda _: []

    def __call__(self, text: bytes) -> list[int]:
        """Tokens of a text; where the model's tokenizer changes it, the longest ones that fit."""
        found = self._table.tokens_of(text)
        return self.greedy(text.decode("utf-8", "ignore")) if found is None else found


def _tokenizer(library: Any, table: TokenTable) -> Any:
    if not table.ends:
        raise UnsupportedConstraint("This model's vocabulary has no token that ends an answer.")
    vocabulary = _Vocabulary(table)
    made = library.LLTokenizer(
        library.TokenizerWrapper(vocabulary), n_vocab=len(table.pieces), eos_token=list(table.ends)
    )
    vocabulary.greedy = made.greedy_tokenize
    return made


def _limits(library: Any) -> Any:
    return library.LLParserLimits(max_lexer_states=50_000, verbose_errors=False)


def _sentence(grammar: Grammar, reason: str) -> str:
    """What to tell of the library's reason: its first line, and keywords by their names."""
    line = reason.strip().splitlines()[0][:300].rstrip(".")
    if found := _KEYS.fullmatch(line):
        line = f"the keywords {found[1]} are not supported"
    return f"The {grammar.name} cannot be enforced: {line}."
