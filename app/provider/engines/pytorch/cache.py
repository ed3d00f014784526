"""The keys and values of rows that are computed together.

The attention layers of transformers call ``update``. Rows have different lengths: beyond its
length a row holds zeros, which the mask hides.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import torch

from app.provider.generation.batch_room import BLOCK

Layer = tuple[torch.Tensor, torch.Tensor]
"""Keys and values ``[rows, heads, room, width]``."""


class KvCache:
    """``lengths`` tokens of each row are computed. Layers appear when they are first computed."""

    def __init__(self, lengths: Sequence[int] = (0,), layers: Sequence[Layer] = ()) -> None:
        self.lengths = list(lengths)
        self._layers = list(layers)

    @property
    def nbytes(self) -> int:
        """Bytes of all rows with the memory they may grow into."""
        return sum(keys.nbytes + values.nbytes for keys, values in self._layers)

    @property
    def bytes_per_token(self) -> int:
        """Bytes of a token in one row."""
        return sum(one[0, :, 0].nbytes for layer in self._layers for one in layer)

    # ---------------------------------------------------------------- what transformers calls

    def update(
        self, keys: torch.Tensor, values: torch.Tensor, layer_idx: int, *_: object, **__: object
    ) -> Layer:
        """Append ``[rows, heads, n, width]`` to a layer; return it, cut to the longest row."""
        count = keys.shape[2]
        longest = max(self.lengths) + count
        while layer_idx >= len(self._layers):
            self._layers.append((_room(keys, longest), _room(values, longest)))
        if self._layers[layer_idx][0].shape[2] < longest:
            mine = self._layers[layer_idx]
            self._layers[layer_idx] = (_grown(mine[0], longest), _grown(mine[1], longest))
        held = self._layers[layer_idx]
        for old, new in zip(held, (keys, values), strict=True):
            self._write(old, new, count)
        return held[0][:, :, :longest], held[1][:, :, :longest]

    def get_seq_length(self, _layer_idx: int = 0) -> int:
        """The longest row, in tokens."""
        return max(self.lengths)

    # ---------------------------------------------------------------- what the engine does

    def advance(self, count: int) -> None:
        """Count ``count`` more tokens of every row, which all layers have received."""
        self.lengths = [length + count for length in self.lengths]

    @contextmanager
    def row(self, row: int, more: int) -> Iterator[KvCache]:
        """One row as a cache of its own in the same memory, which grows by ``more`` tokens."""
        longest = self.lengths[row] + more
        self._layers = [
            (_grown(keys, longest), _grown(values, longest))
            if keys.shape[2] < longest
            else (keys, values)
            for keys, values in self._layers
        ]
        mine = [(keys[row : row + 1], values[row : row + 1]) for keys, values in self._layers]
        cache = KvCache([self.lengths[row]], mine)
        yield cache
        (self.lengths[row],) = cache.lengths
        if not self._layers:  # nothing was computed before
            self._layers = [
                (_placed(keys, row, len(self.lengths)), _placed(values, row, len(self.lengths)))
                for keys, values in cache._layers
            ]

    def copy_row(self, row: int, length: int) -> KvCache:
        """Copy the first ``length`` tokens of a row, without memory to grow."""
        layers = [
            (keys[row : row + 1, :, :length].clone(), values[row : row + 1, :, :length].clone())
            for keys, values in self._layers
        ]
        return KvCache([length], layers)

    def to_cpu(self) -> KvCache:
        """Copy to the CPU."""
        return KvCache(self.lengths, [(k.cpu(), v.cpu()) for k, v in self._layers])

    def copy_prefix(self, length: int, devices: Sequence[torch.device]) -> KvCache:
        """Copy the first tokens of a single row to the devices of the layers, ready to grow."""
        layers = [
            tuple(_grown(one[:, :, :length].to(device), length + 1) for one in layer)
            for layer, device in zip(self._layers, devices, strict=True)
        ]
        return KvCache([length], [(keys, values) for keys, values in layers])

    def join(self, other: KvCache) -> KvCache:
        """The rows of both."""
        layers = [
            (_stacked(mine[0], theirs[0]), _stacked(mine[1], theirs[1]))
            for mine, theirs in zip(self._like(other), other._like(self), strict=True)
        ]
        return KvCache(self.lengths + other.lengths, layers)

    def keep_rows(self, rows: Sequence[int]) -> KvCache:
        """Keep only these rows."""
        if not rows:
            return KvCache([])
        longest = max(self.lengths[row] for row in rows)
        layers = []
        for keys, values in self._layers:
            room = min(_rounded(longest), keys.shape[2])
            at = torch.tensor(rows, device=keys.device)
            layers.append((keys[at, :, :room], values[at, :, :room]))
        return KvCache([self.lengths[row] for row in rows], layers)

    @property
    def devices(self) -> list[torch.device]:
        """Where each layer is."""
        return [keys.device for keys, _ in self._layers]

    def _like(self, other: KvCache) -> Sequence[Layer]:
        """The layers; before anything is computed, zeros in the shape of the other's."""
        rows = len(self.lengths)
        return self._layers or [
            (keys.new_zeros((rows, *keys.shape[1:])), values.new_zeros((rows, *values.shape[1:])))
            for keys, values in other._layers
        ]

    def _write(self, old: torch.Tensor, new: torch.Tensor, count: int) -> None:
        if len(self.lengths) == 1:
            old[:, :, self.lengths[0] : self.lengths[0] + count] = new
            return
        for row, length in enumerate(self.lengths):
            old[row, :, length : length + count] = new[row]


def _rounded(length: int) -> int:
    return -(-length // BLOCK) * BLOCK


def _room(like: torch.Tensor, length: int) -> torch.Tensor:
    rows, heads, _, width = like.shape
    return like.new_zeros((rows, heads, _rounded(length), width))


def _grown(old: torch.Tensor, length: int) -> torch.Tensor:
    new = _room(old, length)
    new[:, :, : old.shape[2]] = old
    return new


def _placed(one: torch.Tensor, row: int, rows: int) -> torch.Tensor:
    """A row among others that are empty."""
    new = one.new_zeros((rows, *one.shape[1:]))
    new[row] = one[0]
    return new


def _stacked(one: torch.Tensor, other: torch.Tensor) -> torch.Tensor:
    room = max(one.shape[2], other.shape[2])
    return torch.cat(
        [_grown(rows, room) if rows.shape[2] < room else rows for rows in (one, other)]
    )
