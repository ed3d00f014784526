"""Computes sequences with mlx-lm's ``BatchGenerator``, which advances prompts and answers itself.

One call of it computes a token of every answer, and then a chunk of every prompt. It computes one
token ahead: a token is returned while its own keys and values are being computed.
"""

from __future__ import annotations

import copy
import importlib
import math
from array import array
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import mlx.core as mx

from app.provider.engines.mlx.model import MlxModel
from app.provider.engines.mlx.sampler import (
    Draw,
    GuidedLogits,
    Penalties,
    RawLogits,
    make_logits_processors,
    make_sampler,
)
from app.provider.generation.batch_room import fits
from app.provider.generation.output_stream import NO_TOKEN
from app.provider.generation.prefix_cache import PrefixStore, best_prefix
from app.provider.generation.prepared_prompt import PreparedPrompt
from app.provider.generation.runner import Drawn, SequenceState
from app.provider.generation.sampler import logprobs

_NEVER = 2**30
"""Tokens after which mlx-lm would end an answer by itself."""

_PADDING = 1.25
"""Prompts are padded to the longest piece. A step may become that many times dearer by it, so that
prompts of almost the same length end together."""

Cache = list[Any]
"""Keys and values of one sequence: an object of mlx-lm for each layer."""


@dataclass(slots=True, eq=False, kw_only=True)
class MlxSequence(SequenceState):
    """A request. ``row`` is its number in the generator, which has taken over ``cache`` then.

    ``inserted`` are all its tokens at that time, of which ``base`` were computed. ``raw_logits``
    are kept if the prompt asks for log-probabilities, ``guided`` where there is a guide.
    """

    cache: Cache
    row: int | None = None
    inserted: array[int] = field(default_factory=lambda: array("i"))
    base: int = 0
    raw_logits: RawLogits | None = None
    guided: GuidedLogits | None = None
    processors: list[Any] = field(default_factory=list)
    sampler: Draw | None = None


class MlxRunner:
    """Implements ``Runner``: at most ``slots`` sequences that grow to ``cells`` tokens together."""

    def __init__(
        self, model: MlxModel, store: PrefixStore[Cache], *, slots: int, cells: int
    ) -> None:
        generate = importlib.import_module("mlx_lm.generate")  # a function has the same name
        self._model = model
        self._store = store
        self._cells = cells
        self._generator = generate.BatchGenerator(
            model, completion_batch_size=slots, prefill_batch_size=slots
        )
        self._sequences: list[MlxSequence] = []
        self._rows: dict[int, MlxSequence] = {}  # in the generator, by its numbers

    # ---------------------------------------------------------------- the contract

    def reserve(self, prompt: PreparedPrompt, room: int) -> MlxSequence | None:
        """Make a sequence with a copy of the longest computed prefix, outside the batch."""
        if not fits([room, *(one.room for one in self._sequences)], self._cells):
            return None
        cached, cache = self._cached_prefix(prompt)
        sequence = MlxSequence(prompt=prompt, room=room, tokens=prompt.tokens[:cached], cache=cache)
        self._sequences.append(sequence)
        return sequence

    def prefill(self, pieces: Sequence[tuple[MlxSequence, int]]) -> None:
        """Share what the pieces are together among all prompts: they are computed in one batch."""
        for sequence in self._sequences:
            if sequence.images is not None:
                self._insert(sequence)
        sizes = [size for _, size in pieces]
        prompts = sum(bool(sequence.prefill_left) for sequence in self._rows.values())
        most = int(sum(sizes) / prompts * _PADDING)
        self._generator.prefill_step_size = max(1, min(most, max(sizes)))

    def decode(self, running: Sequence[MlxSequence]) -> list[Drawn[MlxSequence]]:
        """Advance all rows; an answer has its first token in the step after its prompt ends."""
        for sequence in running:
            self._insert(sequence)
        prompts, answers = self._generator.next()
        for one in prompts:
            sequence = self._rows[one.uid]
            done = sequence.base + one.progress[0]
            sequence.tokens.extend(sequence.inserted[len(sequence.tokens) : done])
        drawn = [self._drawn(self._rows[one.uid], one) for one in answers]
        for sequence, tokens in drawn:
            if len(tokens) > 1:
                self._insert_forced(sequence, tokens[1:])
        return drawn

    def release(self, sequences: Sequence[MlxSequence]) -> None:
        """Take sequences out, and keep copies of what they computed."""
        rows = [sequence.row for sequence in sequences if sequence.row is not None]
        for row in rows:
            self._keep(self._rows.pop(row))
        self._sequences = [one for one in self._sequences if one not in sequences]
        if rows:
            with mx.stream(self._generator.stream):
                self._generator.remove(rows)

    def set_threads(self, threads: int) -> None:
        """Nothing to do: MLX computes on one thread of the CPU, or on the GPU."""

    def close(self) -> None:
        """Undo what mlx-lm has set for the whole process; the weights go with the process."""
        self._generator.close()

    # ---------------------------------------------------------------- the generator

    def _insert(self, sequence: MlxSequence) -> None:
        """Put a sequence into the generator, unless it is there."""
        if sequence.row is not None:
            return
        prompt = sequence.prompt
        sequence.sampler = make_sampler(prompt.sampling)
        sequence.processors = [*make_logits_processors(prompt.sampling)]
        if sequence.guide:
            sequence.guided = GuidedLogits(sequence.guide)
            sequence.processors.insert(0, sequence.guided)  # before the penalties
        if prompt.logprobs is not None:
            sequence.raw_logits = RawLogits()
            sequence.processors.insert(0, sequence.raw_logits)  # before the guide
        self._insert_tokens(sequence, prompt.tokens + array("i", sequence.pending[1:]))

    def _insert_forced(self, sequence: MlxSequence, tokens: Sequence[int]) -> None:
        """Put a row into the generator again, to compute forced tokens as those of a prompt.

        What the generator has drawn ahead is left out.
        """
        assert sequence.row is not None  # noqa: S101 - it has just drawn a token
        sequence.cache = self._settled(self._cache_of(sequence))
        del self._rows[sequence.row]
        with mx.stream(self._generator.stream):
            self._generator.remove([sequence.row])
        for processor in sequence.processors:
            if isinstance(processor, GuidedLogits | Penalties):
                processor.resume()
        self._generator.prefill_step_size = max(len(tokens), self._generator.prefill_step_size)
        self._insert_tokens(sequence, sequence.tokens + array("i", tokens))

    def _insert_tokens(self, sequence: MlxSequence, tokens: array[int]) -> None:
        """Put a row with these tokens into the generator; what was computed is in its cache."""
        done, images = len(sequence.tokens), sequence.images or ()
        cache = self._model.batch_cache(sequence.cache, sequence.prompt, done, images)
        (row,) = self._generator.insert(
            [tokens[done:].tolist()],
            max_tokens=[_NEVER],
            caches=[cache],
            all_tokens=[sequence.tokens.tolist()],
            samplers=[sequence.sampler],
            logits_processors=[sequence.processors],
        )
        self._rows[row], sequence.row, sequence.cache = sequence, row, []
        sequence.inserted, sequence.base = tokens, done

    def _drawn(self, sequence: MlxSequence, answer: Any) -> Drawn[MlxSequence]:
        """The token of an answer; NaN is looked for once, because that waits for the device."""
        first = len(sequence.tokens) == len(sequence.inserted)
        token = int(answer.token)
        sequence.tokens.append(token)
        if first and math.isnan(answer.logprobs[0].item()):
            return sequence, [NO_TOKEN]
        if sequence.raw_logits:
            found = logprobs(
                sequence.raw_logits.of_returned(), token, sequence.prompt.logprobs or 0
            )
            sequence.logprobs = found
        return sequence, [token, *(sequence.guided.take() if sequence.guided else ())]

    # ---------------------------------------------------------------- computed prefixes

    def _cached_prefix(self, prompt: PreparedPrompt) -> tuple[int, Cache]:
        """Copy the longest computed prefix; returns its length with it."""
        wanted = prompt.tokens[:-1]
        lenders = () if self._model.stateful else self._sequences
        source, shared = best_prefix(prompt.owner, wanted, lenders)
        kept, length = self._store.find(prompt.owner, wanted, more_than=shared)
        if kept is not None:
            whole = prompt.cut_before_image(length)
            return whole, _shortened(kept.state, len(kept.tokens) - whole)
        whole = prompt.cut_before_image(shared)
        if source is None or not whole:
            return 0, self._model.new_cache()
        return whole, self._settled(_shortened(self._cache_of(source), len(source.tokens) - whole))

    def _cache_of(self, sequence: MlxSequence) -> Cache:
        """The cache of a sequence; that of a row must be ``_settled`` before the next step."""
        if sequence.row is None:
            return sequence.cache
        with mx.stream(self._generator.stream):
            cache, _ = self._generator.extract_cache([sequence.row])[sequence.row]
        return self._model.sequence_cache(cache)

    def _settled(self, cache: Cache) -> Cache:
        """Copy a row out of the arrays of the whole batch, which it would keep alive."""
        with mx.stream(self._generator.stream):
            mx.eval([one.state for one in cache])
        return cache

    def _keep(self, sequence: MlxSequence) -> None:
        size = self._model.bytes_per_row + len(sequence.tokens) * self._model.bytes_per_token
        self._store.keep(
            sequence.prompt.owner,
            sequence.tokens,
            size,
            lambda: self._settled(self._cache_of(sequence)),
        )


def _shortened(cache: Cache, tokens: int) -> Cache:
    """Copy ``cache`` without its last ``tokens``; the arrays are shared."""
    shorter = copy.deepcopy(cache)
    if tokens:
        for layer in shorter:
            layer.trim(tokens)
    return shorter
