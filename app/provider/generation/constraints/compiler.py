"""Compiles grammars for one model with llguidance, and keeps the last ones."""

from __future__ import annotations

import re
import threading
from collections import OrderedDict
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np

from app.provider.errors import UnsupportedConstraint
from app.provider.generation.constraints.grammar import Grammar
from app.provider.generation.constraints.matcher import (
    LlguidanceMatcher,
    Matcher,
    MatcherVocabulary,
)
from app.provider.generation.constraints.schema_limits import MOST_PROPERTIES
from app.provider.generation.constraints.token_table import TokenTable

_PLACE = re.compile(r"^(at \d+\(\d+\): )?(failed to compile JSON schema: )?")
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
        self._table: TokenTable | None = None
        self._vocabulary: MatcherVocabulary | None = None
        self._kept: OrderedDict[bytes, Matcher] = OrderedDict()
        self._lock = threading.Lock()
        self._compiling = threading.Lock()

    def warm_up(self) -> None:
        """Read the vocabulary, once; raises UnsupportedConstraint."""
        with self._compiling:
            self._loaded()

    @property
    def ready(self) -> bool:
        """Whether the vocabulary was read."""
        return self._vocabulary is not None

    @property
    def table(self) -> TokenTable:
        """The tokens of the vocabulary; raises UnsupportedConstraint."""
        self.warm_up()
        assert self._table is not None  # noqa: S101 - it was just read
        return self._table

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
            self.keep(grammar, matcher)
            return matcher.copy()

    def keep(self, grammar: Grammar, matcher: Matcher) -> None:
        """Find this matcher for that grammar from now on."""
        with self._lock:
            self._kept[grammar.digest] = matcher
            while len(self._kept) > MOST_KEPT:
                self._kept.popitem(last=False)

    def _compiled(self, grammar: Grammar) -> Matcher:
        library, vocabulary = self._loaded()
        made = library.LLMatcher(
            self._tokenizer, grammar.source, log_level=0, limits=_limits(library)
        )
        matcher = LlguidanceMatcher(made, vocabulary)
        if matcher.error:
            raise UnsupportedConstraint(_sentence(grammar, matcher.error))
        if matcher.forbidden().all() or matcher.error:  # references in a circle show only here
            reason = "no text matches it, or it refers to itself without an end"
            raise UnsupportedConstraint(_sentence(grammar, reason))
        return matcher

    def _loaded(self) -> tuple[Any, MatcherVocabulary]:
        """The library, and the vocabulary that it has read."""
        library = _library()
        if self._vocabulary is None:
            table = self._table = self._read_table()
            self._tokenizer = _tokenizer(library, table)
            self._vocabulary = MatcherVocabulary(
                len(table.pieces),
                table.ends[0],
                np.isin(np.arange(len(table.pieces)), table.ends),
                partial(_spelled, self._tokenizer, table),
            )
        return library, self._vocabulary


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
        self.special_token_ids = sorted(table.special)
        # A special token without a name would be taken for the beginning of all others.
        names = {token: b"<unnamed %d>" % token for token in self.special_token_ids}
        self.tokens = [piece or names.get(at, b"") for at, piece in enumerate(table.pieces)]
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


def _spelled(tokenizer: Any, table: TokenTable, text: bytes) -> list[int]:
    """Tokens of a text in which control tokens are spelled out."""
    found = table.tokens_of(text, special=True)
    return list(tokenizer.tokenize_bytes(text)) if found is None else found


def _limits(library: Any) -> Any:
    return library.LLParserLimits(
        max_items_in_row=5 * MOST_PROPERTIES, max_lexer_states=50_000, verbose_errors=False
    )


def _sentence(grammar: Grammar, reason: str) -> str:
    """What to tell of the library's reason: its first line, and keywords by their names."""
    line = _PLACE.sub("", reason.strip().splitlines()[0])[:300].rstrip(".")
    if found := _KEYS.search(line):
        line = f"the keywords {found[1]} are not supported"
    return f"The {grammar.name} cannot be enforced: {line}."
