"""The vision tower of Qwen2-VL and Qwen2.5-VL, computed layer by layer.

It does the arithmetic of mlx-vlm's ``VisionModel`` on the same layers, with three differences: the
caller can do other work between two layers, windows of one size are computed together, and
attention that would not fit into memory is computed in pieces.
"""

from __future__ import annotations

from collections.abc import Generator, Iterator
from dataclasses import dataclass
from typing import Any

import mlx.core as mx
import numpy as np
from numpy.typing import NDArray

from app.provider.architectures.qwen_vl_pixels import Patches
from app.provider.engines.mlx.format import PATCHES_AT_ONCE, SCORES_AT_ONCE

_THETA = 10_000.0
Windows = list[tuple[int, int]]
"""Pairs: so many windows of so many patches each."""


@dataclass(frozen=True, slots=True)
class WindowOrder:
    """The order of tokens in which the tokens of each window follow each other."""

    tokens: NDArray[np.int64]
    windows: Windows

    @classmethod
    def of(cls, down: int, across: int, side: int, merged: int) -> WindowOrder:
        """Order ``down`` by ``across`` tokens of ``merged`` patches in windows of ``side`` tokens.

        Windows of one size follow each other. With ``side`` 0 there is one window.
        """
        rows, columns = np.indices((down, across)).reshape(2, -1)
        window = rows // side * across + columns // side if side else np.zeros_like(rows)
        _, window, sizes = np.unique(window, return_inverse=True, return_counts=True)
        tokens = np.lexsort((window, sizes[window]))
        counts = np.unique(sizes, return_counts=True)
        windows = [(int(many), int(size) * merged) for size, many in zip(*counts, strict=True)]
        return cls(tokens, windows)


class VisionTower:
    """The vision weights of ``model``, an mlx-vlm model."""

    def __init__(self, model: Any) -> None:
        self._vision = model.vision_tower
        config = self._vision.config
        self._merge = self._vision.spatial_merge_size
        window = getattr(config, "window_size", 0)
        self._window = window // self._merge // config.patch_size
        last = range(len(self._vision.blocks))
        self._whole = set(getattr(config, "fullatt_block_indexes", last))
        kernel = self._vision.patch_embed.proj.weight.sum(axis=1)  # [out, y, x, colours]
        self._kernel = kernel.transpose(3, 1, 2, 0).reshape(-1, kernel.shape[0])
        mx.eval(self._kernel)
        self._pieces = mx.default_device() == mx.Device(mx.cpu)

    def encode(self, patches: Patches, down: int, across: int) -> Generator[None, None, mx.array]:
        """Compute the features [tokens, hidden] of an image of ``down`` by ``across`` tokens.

        ``patches`` are those of one frame: all frames of an image are the same, so the kernels of
        the frames are added up. Yields after every layer.
        """
        merged = self._merge**2
        order = WindowOrder.of(down, across, self._window, merged)
        parts = (order.tokens[:, None] * merged + np.arange(merged)).reshape(-1)
        x = mx.array(patches[parts]).astype(self._kernel.dtype) @ self._kernel
        turn = self._rotary_angles(down, across)[mx.array(parts)]
        cos, sin = mx.cos(turn)[:, None], mx.sin(turn)[:, None]
        for number, block in enumerate(self._vision.blocks):
            windows = [(1, len(parts))] if number in self._whole else order.windows
            x = x + self._attention(block.attn, block.norm1(x), cos, sin, windows)
            x = mx.concatenate([_mlp_block(block, part) for part in _pieces(x)])
            mx.eval(x)
            yield
        features: mx.array = self._vision.merger(x)[mx.array(np.argsort(order.tokens))]
        mx.eval(features)
        return features

    def _rotary_angles(self, down: int, across: int) -> mx.array:
        """Rotary angles [patches, width of a head] of rows and columns, token by token."""
        head = self._kernel.shape[1] // self._vision.blocks[0].attn.num_heads
        grid = np.indices((down, across, self._merge, self._merge)).reshape(4, -1)
        coordinates = grid[:2] * self._merge + grid[2:]
        speeds = _THETA ** (-np.arange(0, head // 2, 2, dtype=np.float32) / (head // 2))
        angles = np.concatenate([np.outer(one, speeds) for one in coordinates], axis=1)
        return mx.array(np.tile(angles, 2).astype(np.float32))

    def _attention(
        self, layer: Any, x: mx.array, cos: mx.array, sin: mx.array, windows: Windows
    ) -> mx.array:
        patches, heads = x.shape[0], layer.num_heads
        q, k, v = layer.qkv(x).reshape(patches, 3, heads, -1).transpose(1, 0, 2, 3)
        q, k = _rotate(q, cos, sin), _rotate(k, cos, sin)
        attended, done = [], 0
        for many, size in windows:
            part = slice(done, done + many * size)
            done = part.stop
            q_, k_, v_ = (
                one[part].reshape(many, size, heads, -1).transpose(0, 2, 1, 3) for one in (q, k, v)
            )
            out = self._attend(q_, k_, v_, layer.scale)
            attended.append(out.transpose(0, 2, 1, 3).reshape(many * size, -1))
        joined: mx.array = layer.proj(mx.concatenate(attended))
        return joined

    def _attend(self, q: mx.array, k: mx.array, v: mx.array, scale: float) -> mx.array:
        """Attention of [windows, heads, patches, width]; on a CPU in pieces that fit."""
        windows, heads, patches, _ = q.shape
        piece = max(1, SCORES_AT_ONCE // (windows * heads * patches)) if self._pieces else patches
        attended = []
        for start in range(0, patches, piece):
            some = q[:, :, start : start + piece]
            attended.append(mx.fast.scaled_dot_product_attention(some, k, v, scale=scale))
            if piece < patches:
                mx.eval(attended[-1])
        return mx.concatenate(attended, axis=2)


def _pieces(x: mx.array) -> Iterator[mx.array]:
    """Split the patches: a large image computed at once would take gigabytes."""
    mx.eval(x)
    return (x[start : start + PATCHES_AT_ONCE] for start in range(0, x.shape[0], PATCHES_AT_ONCE))


def _mlp_block(block: Any, x: mx.array) -> mx.array:
    """The second half of a layer: norm and MLP."""
    done: mx.array = x + block.mlp(block.norm2(x))
    mx.eval(done)
    return done


def _rotate(x: mx.array, cos: mx.array, sin: mx.array) -> mx.array:
    """Rotate [patches, heads, width] by position, in float32."""
    first, second = mx.split(x, 2, axis=-1)
    turned = x * cos + mx.concatenate([-second, first], axis=-1) * sin
    return turned.astype(x.dtype)
