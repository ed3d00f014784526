"""Computes sequences with PyTorch: each prompt in a row of its own, all answers in one batch."""

from __future__ import annotations

from array import array
from collections.abc import Sequence
from dataclasses import dataclass

import torch

from app.provider.engines.pytorch.cache import KvCache
from app.provider.engines.pytorch.families import LoadedModel
from app.provider.generation.batch_room import fits
from app.provider.generation.prefix_cache import PrefixStore, best_prefix
from app.provider.generation.prepared_prompt import PreparedPrompt
from app.provider.generation.runner import Drawn, SequenceState, draw_guided
from app.provider.generation.sampler import Sampler, draw_all


@dataclass(slots=True, eq=False, kw_only=True)
class PytorchSequence(SequenceState):
    """A request; ``positions`` ``[axes, length]`` are those of its prompt.

    ``cache`` holds its keys and values until it is in the batch.
    """

    positions: torch.Tensor
    cache: KvCache
    sampler: Sampler


class PytorchRunner:
    """Implements ``Runner`` on a model; all rows together have ``cells`` tokens at most.

    ``like`` is a cache that holds a token: it shows the devices of layers and the bytes of a token.
    """

    def __init__(
        self, model: LoadedModel, cells: int, store: PrefixStore[KvCache], like: KvCache
    ) -> None:
        self._model = model
        self._cells = cells
        self._store = store
        self._token_bytes = like.bytes_per_token
        self._devices = like.devices
        self._batch = KvCache([])
        self._sequences: list[PytorchSequence] = []
        self._running: list[PytorchSequence] = []  # in the order of the batch

    # ---------------------------------------------------------------- the contract

    def reserve(self, prompt: PreparedPrompt, room: int) -> PytorchSequence | None:
        """Make a sequence with a copy of the longest computed prefix."""
        if not fits([room, *(one.room for one in self._sequences)], self._cells):
            return None
        cached, cache = self._cached_prefix(prompt)
        sequence = PytorchSequence(
            prompt=prompt,
            room=room,
            tokens=prompt.tokens[:cached],
            positions=self._positions(prompt),
            cache=cache,
            sampler=Sampler(prompt.sampling),
        )
        self._sequences.append(sequence)
        return sequence

    def prefill(self, pieces: Sequence[tuple[PytorchSequence, int]]) -> None:
        """Compute the next tokens of each prompt."""
        for sequence, size in pieces:
            done = len(sequence.tokens)
            piece = sequence.prompt.tokens[done : done + size]
            positions = sequence.positions[:, None, done : done + size]
            given = self._model_input(sequence, piece)
            self._model.decoder.compute(given, positions, sequence.cache)
            sequence.tokens.extend(piece)

    def decode(self, running: Sequence[PytorchSequence]) -> list[Drawn[PytorchSequence]]:
        """Compute the pending tokens of every running answer."""
        for sequence in running:
            if sequence not in self._running:
                self._start(sequence)
        if not self._running:
            return []
        for row, sequence in enumerate(self._running):
            if len(sequence.pending) > 1:
                self._compute_forced(row, sequence)
        logits = self._compute_pending().numpy()
        samplers = [one.sampler for one in self._running]
        return draw_guided(self._running, logits.__getitem__, lambda: draw_all(logits, samplers))

    def release(self, sequences: Sequence[PytorchSequence]) -> None:
        """Take sequences out, and keep what they computed."""
        for sequence in sequences:
            self._keep(sequence)
            self._sequences.remove(sequence)
        rest = [row for row, one in enumerate(self._running) if one not in sequences]
        if not rest:
            self._batch = KvCache([])
        elif len(rest) < len(self._running):
            self._batch = self._batch.keep_rows(rest)
        self._running = [self._running[row] for row in rest]

    def set_threads(self, threads: int) -> None:
        """Use that many CPU threads."""
        torch.set_num_threads(max(1, threads))

    def close(self) -> None:
        """Nothing to free: the weights go with the process."""

    # ---------------------------------------------------------------- one step

    def _start(self, sequence: PytorchSequence) -> None:
        """Put an answer whose prefill is done into the batch."""
        self._batch = self._batch.join(sequence.cache)
        sequence.cache = KvCache([])
        self._running.append(sequence)

    def _compute_forced(self, row: int, sequence: PytorchSequence) -> None:
        """Compute all pending tokens of a row but the last, in its place in the batch."""
        tokens = sequence.pending[:-1]
        axes, first = sequence.positions.shape[0], sequence.position
        positions = torch.arange(first, first + len(tokens)).expand(axes, 1, -1)
        with self._batch.row(row, len(tokens)) as cache:
            self._model.decoder.compute(torch.tensor([tokens]), positions, cache)
        sequence.tokens.extend(tokens)

    def _compute_pending(self) -> torch.Tensor:
        """Logits ``[rows, vocabulary]`` after the last pending token of each answer."""
        given = torch.tensor([[one.pending[-1]] for one in self._running])
        axes = self._running[0].positions.shape[0]
        at = [one.position for one in self._running]
        positions = torch.tensor(at)[None, :, None].expand(axes, -1, -1)
        logits = self._model.decoder.compute(given, positions, self._batch)
        for sequence in self._running:
            sequence.tokens.append(sequence.pending[-1])
        return logits

    def _model_input(self, sequence: PytorchSequence, piece: array[int]) -> torch.Tensor:
        """Tokens ``[1, n]``, or embeddings ``[1, n, hidden]`` where there is an image."""
        tokens = torch.tensor(piece)
        if not (tokens < 0).any():
            return tokens[None]
        rows = self._model.decoder.rows(tokens.where(tokens >= 0, self._model.image_token)).clone()
        first = len(sequence.tokens)
        for found in sequence.images or ():
            image = found.image
            start, end = max(image.start, first), min(image.end, first + len(piece))
            if start < end:
                part = found.features[start - image.start : end - image.start]
                rows[start - first : end - first] = part.to(rows)
        return rows[None]

    def _positions(self, prompt: PreparedPrompt) -> torch.Tensor:
        if self._model.vision_tower is None:
            return torch.arange(len(prompt.tokens))[None]
        return self._model.vision_tower.positions(len(prompt.tokens), prompt.images)

    # ---------------------------------------------------------------- prefixes

    def _cached_prefix(self, prompt: PreparedPrompt) -> tuple[int, KvCache]:
        """The longest computed prefix, without the last token; it ends inside no image."""
        wanted = prompt.tokens[:-1]
        source, shared = best_prefix(prompt.owner, wanted, self._sequences)
        kept, length = self._store.find(prompt.owner, wanted, more_than=shared)
        if kept is not None and (length := prompt.cut_before_image(length)) > shared:
            return length, kept.state.copy_prefix(length, self._devices)
        shared = prompt.cut_before_image(shared)
        if source is None or not shared:
            return 0, KvCache()
        return shared, self._cache_of(source, shared).copy_prefix(shared, self._devices)

    def _cache_of(self, sequence: PytorchSequence, length: int) -> KvCache:
        if sequence in self._running:
            return self._batch.copy_row(self._running.index(sequence), length)
        return sequence.cache.copy_row(0, length)

    def _keep(self, sequence: PytorchSequence) -> None:
        length = len(sequence.tokens)
        if length:
            self._store.keep(
                sequence.prompt.owner,
                sequence.tokens[:length],
                length * self._token_bytes,
                lambda: self._cache_of(sequence, length).to_cpu(),
            )
