"""The half of Qwen2-VL and Qwen2.5-VL that looks at a picture, layer by layer.

The arithmetic of mlx-vlm's ``VisionModel`` on its layers, but in steps that others can come
between, with windows computed together, and with attention in pieces where it would not fit.
"""

from __future__ import annotations

from collections.abc import Generator, Iterator
from dataclasses import dataclass
from typing import Any

import mlx.core as mx
import numpy as np
from numpy.typing import NDArray

from app.provider.architectures.qwen_vl_pixels import Patches
from app.provider.engines.mlx.format import MOST_SCORES, ROWS

_THETA = 10_000.0
Windows = list[tuple[int, int]]
"""How many windows of how many patches follow each other."""


@dataclass(frozen=True, slots=True)
class Order:
    """The order in which tokens are looked at, so that each window is in one piece."""

    tokens: NDArray[np.int64]
    windows: Windows

    @classmethod
    def of(cls, down: int, across: int, side: int, merged: int) -> Order:
        """For ``down`` by ``across`` tokens of ``merged`` patches, in windows of ``side`` tokens.

        Windows of one size follow each other. ``side`` 0: one window.
        """
        rows, columns = np.indices((down, across)).reshape(2, -1)
        window = rows // side * across + columns // side if side else np.zeros_like(rows)
        _, window, sizes = np.unique(window, return_inverse=True, return_counts=True)
        tokens = np.lexsort((window, sizes[window]))
        counts = np.unique(sizes, return_counts=True)
        windows = [(int(many), int(size) * merged) for size, many in zip(*counts, strict=True)]
        return cls(tokens, windows)


class Tower:
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

    def look(self, patches: Patches, down: int, across: int) -> Generator[None, None, mx.array]:
        """A picture of ``down`` by ``across`` tokens → their features [tokens, hidden].

        ``patches`` are those of one frame: all frames of a picture are the same, so the kernels
        that look at them are added. Stops after every layer, for others to do something.
        """
        merged = self._merge**2
        order = Order.of(down, across, self._window, merged)
        parts = (order.tokens[:, None] * merged + np.arange(merged)).reshape(-1)
        x = mx.array(patches[parts]).astype(self._kernel.dtype) @ self._kernel
        turn = self._turns(down, across)[mx.array(parts)]
        cos, sin = mx.cos(turn)[:, None], mx.sin(turn)[:, None]
        for number, block in enumerate(self._vision.blocks):
            windows = [(1, len(parts))] if number in self._whole else order.windows
            x = x + self._attention(block.attn, block.norm1(x), cos, sin, windows)
            x = mx.concatenate([_thought(block, part) for part in _pieces(x)])
            mx.eval(x)
            yield
        features: mx.array = self._vision.merger(x)[mx.array(np.argsort(order.tokens))]
        mx.eval(features)
        return features

    def _turns(self, down: int, across: int) -> mx.array:
        """Angles [patches, width of a head] of rows and columns, token by token."""
        head = self._kernel.shape[1] // self._vision.blocks[0].attn.num_heads
        grid = np.indices((down, across, self._merge, self._merge)).reshape(4, -1)
        places = grid[:2] * self._merge + grid[2:]
        speeds = _THETA ** (-np.arange(0, head // 2, 2, dtype=np.float32) / (head // 2))
        angles = np.concatenate([np.outer(place, speeds) for place in places], axis=1)
        return mx.array(np.tile(angles, 2).astype(np.float32))

    def _attention(
        self, layer: Any, x: mx.array, cos: mx.array, sin: mx.array, windows: Windows
    ) -> mx.array:
        patches, heads = x.shape[0], layer.num_heads
        q, k, v = layer.qkv(x).reshape(patches, 3, heads, -1).transpose(1, 0, 2, 3)
        q, k = _turned(q, cos, sin), _turned(k, cos, sin)
        seen, done = [], 0
        for many, size in windows:
            part = slice(done, done + many * size)
            done = part.stop
            q_, k_, v_ = (
                one[part].reshape(many, size, heads, -1).transpose(0, 2, 1, 3) for one in (q, k, v)
            )
            out = self._attend(q_, k_, v_, layer.scale)
            seen.append(out.transpose(0, 2, 1, 3).reshape(many * size, -1))
        joined: mx.array = layer.proj(mx.concatenate(seen))
        return joined

    def _attend(self, q: mx.array, k: mx.array, v: mx.array, scale: float) -> mx.array:
        """Attention of [windows, heads, patches, width], where it has to be in pieces."""
        windows, heads, patches, _ = q.shape
        piece = max(1, MOST_SCORES // (windows * heads * patches)) if self._pieces else patches
        seen = []
        for start in range(0, patches, piece):
            some = q[:, :, start : start + piece]
            seen.append(mx.fast.scaled_dot_product_attention(some, k, v, scale=scale))
            if piece < patches:
                mx.eval(seen[-1])
        return mx.concatenate(seen, axis=2)


def _pieces(x: mx.array) -> Iterator[mx.array]:
    """The patches in rows that are computed together, or a large picture would take gigabytes."""
    mx.eval(x)
    return (x[start : start + ROWS] for start in range(0, x.shape[0], ROWS))


def _thought(block: Any, x: mx.array) -> mx.array:
    """The second half of a layer."""
    done: mx.array = x + block.mlp(block.norm2(x))
    mx.eval(done)
    return done


def _turned(x: mx.array, cos: mx.array, sin: mx.array) -> mx.array:
    """Rotate [patches, heads, width] by position, in float32."""
    first, second = mx.split(x, 2, axis=-1)
    turned = x * cos + mx.concatenate([-second, first], axis=-1) * sin
    return turned.astype(x.dtype)
