"""HyperCLOVA X vision computed in numpy, in double precision, from its published description.

It shares no line with the model that it is compared with. Only scaling a picture is PIL's.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image

Array = Any
"""In float64; mypy knows too little of such arithmetic to help."""
Weights = dict[str, npt.NDArray[np.float32]]


def silu(x: Array) -> Array:
    return x / (1 + np.exp(-x))


def gelu_tanh(x: Array) -> Array:
    return 0.5 * x * (1 + np.tanh(math.sqrt(2 / math.pi) * (x + 0.044715 * x**3)))


def layer_norm(x: Array, weight: Array, bias: Array, eps: float) -> Array:
    centred = x - x.mean(-1, keepdims=True)
    return centred / np.sqrt((centred**2).mean(-1, keepdims=True) + eps) * weight + bias


def softmax(x: Array) -> Array:
    powers = np.exp(x - x.max(-1, keepdims=True))
    return powers / powers.sum(-1, keepdims=True)


class Reference:
    """The model of ``config`` (main layout) with ``weights`` by their names on the Hub."""

    def __init__(self, config: dict[str, Any], weights: Weights, canvases: list[list[int]]) -> None:
        self.config = config
        self.vision = config["vision_config"]
        self.text = config.get("text_config") or config["language_config"]
        self.size = self.vision["image_size"]
        self.canvases = canvases
        names = ("num_queries_vis_abstractor_image", "num_queries_vis_abstractor")
        self.queries = int(next(config[name] for name in names if name in config))
        self._weights = weights

    def w(self, name: str) -> Array:
        return self._weights[name].astype(np.float64)

    def linear(self, x: Array, name: str) -> Array:
        return x @ self.w(f"{name}.weight").T + self.w(f"{name}.bias")

    # ------------------------------------------------------------ preparing a picture

    def best_canvas(self, width: int, height: int) -> list[int]:
        def worth(canvas: list[int]) -> tuple[int, int]:
            scale = min(canvas[1] / width, canvas[0] / height)
            kept = min(int(width * scale) * int(height * scale), width * height)
            return kept, -(canvas[0] * canvas[1] - kept)

        return max(self.canvases, key=worth)  # the first of equal ones

    def prepared(self, picture: Image.Image) -> Array:
        """Tiles [n, size, size, 3]: the whole picture, then the canvas row by row."""
        width, height = picture.size
        scale = self.size / max(width, height)
        small = (math.ceil(width * scale - 1e-9), math.ceil(height * scale - 1e-9))
        views = [_pasted(picture.resize(small, Image.Resampling.BICUBIC), self.size, self.size)]
        tall, wide = self.best_canvas(width, height)
        scale = min(wide / width, tall / height)
        fitted = (
            min(wide, math.ceil(width * scale - 1e-9)),
            min(tall, math.ceil(height * scale - 1e-9)),
        )
        canvas = _pasted(picture.resize(fitted, Image.Resampling.BICUBIC), tall, wide)
        for row in range(tall // self.size):
            for column in range(wide // self.size):
                part = slice(row * self.size, (row + 1) * self.size)
                across = slice(column * self.size, (column + 1) * self.size)
                views.append(canvas[part, across])
        return np.stack(views) / 127.5 - 1

    # ------------------------------------------------------------ SigLIP

    def tower(self, tiles: Array) -> Array:
        """Tiles [n, size, size, 3] → [n, positions, hidden] of the layer that is used."""
        home = "vision_model.vision_model"
        patch, count = self.vision["patch_size"], self.size // self.vision["patch_size"]
        blocks = tiles.reshape(-1, count, patch, count, patch, 3).transpose(0, 1, 3, 5, 2, 4)
        kernel = self.w(f"{home}.embeddings.patch_embedding.weight")
        x = blocks.reshape(len(tiles), count**2, -1) @ kernel.reshape(len(kernel), -1).T
        x = x + self.w(f"{home}.embeddings.patch_embedding.bias")
        x = x + self.w(f"{home}.embeddings.position_embedding.weight")
        used = self.vision["num_hidden_layers"] + self.config["use_nth_layer"] + 1
        for number in range(used):
            x = self.tower_layer(x, f"{home}.encoder.layers.{number}")
        return x

    def tower_layer(self, x: Array, layer: str) -> Array:
        eps, heads = self.vision["layer_norm_eps"], self.vision["num_attention_heads"]
        normed = layer_norm(
            x, self.w(f"{layer}.layer_norm1.weight"), self.w(f"{layer}.layer_norm1.bias"), eps
        )
        q, k, v = (
            self.linear(normed, f"{layer}.self_attn.{name}_proj")
            .reshape(*x.shape[:2], heads, -1)
            .transpose(0, 2, 1, 3)
            for name in "qkv"
        )
        scores = softmax(q @ k.transpose(0, 1, 3, 2) / math.sqrt(q.shape[-1]))
        mixed = (scores @ v).transpose(0, 2, 1, 3).reshape(x.shape)
        x = x + self.linear(mixed, f"{layer}.self_attn.out_proj")
        normed = layer_norm(
            x, self.w(f"{layer}.layer_norm2.weight"), self.w(f"{layer}.layer_norm2.bias"), eps
        )
        return x + self.linear(
            gelu_tanh(self.linear(normed, f"{layer}.mlp.fc1")), f"{layer}.mlp.fc2"
        )

    # ------------------------------------------------------------ C-Abstractor

    def abstractor(self, features: Array, queries: int) -> Array:
        """[n, positions, hidden] → [n, queries, text hidden]."""
        count = math.isqrt(features.shape[1])
        x = features + self.w("mm_projector.pos_emb")
        x = x.reshape(len(x), count, count, -1)  # channels last
        for number in (1, 2, 3):
            x = self.block(x, f"mm_projector.net.0.b{number}")
        side = math.isqrt(queries)
        pool = count // side
        x = x.reshape(len(x), side, pool, side, pool, -1).mean((2, 4))
        for number in (1, 2, 3):
            x = self.block(x, f"mm_projector.net.2.b{number}")
        x = x.reshape(len(x), queries, -1)
        return self.linear(silu(self.linear(x, "mm_projector.readout.0")), "mm_projector.readout.2")

    def block(self, x: Array, name: str) -> Array:
        y = silu(self.norm(x @ self.w(f"{name}.conv1.conv.weight")[:, :, 0, 0].T, f"{name}.conv1"))
        y = silu(self.norm(self.depthwise(y, f"{name}.conv2.conv.weight"), f"{name}.conv2"))
        mean = y.mean((1, 2))
        gate = silu(
            mean @ self.w(f"{name}.se.fc1.weight")[:, :, 0, 0].T + self.w(f"{name}.se.fc1.bias")
        )
        gate = gate @ self.w(f"{name}.se.fc2.weight")[:, :, 0, 0].T + self.w(f"{name}.se.fc2.bias")
        y = y / (1 + np.exp(-gate[:, None, None]))
        y = self.norm(y @ self.w(f"{name}.conv3.conv.weight")[:, :, 0, 0].T, f"{name}.conv3")
        return silu(x + y)

    def norm(self, x: Array, name: str) -> Array:
        return layer_norm(x, self.w(f"{name}.bn.weight"), self.w(f"{name}.bn.bias"), 1e-5)

    def depthwise(self, x: Array, name: str) -> Array:
        kernel, padded = self.w(name), np.pad(x, ((0, 0), (1, 1), (1, 1), (0, 0)))
        tall, wide = x.shape[1:3]
        found = np.zeros_like(x)
        for down in range(3):
            for across in range(3):
                part = padded[:, down : down + tall, across : across + wide]
                found += part * kernel[:, 0, down, across]
        return found

    # ------------------------------------------------------------ assembling

    def assembled(self, features: Array, width: int, height: int) -> Array:
        """[1 + tiles, queries, hidden] → the picture's rows, one by one."""
        side = math.isqrt(self.queries)
        tall, wide = self.best_canvas(width, height)
        rows, columns = tall // self.size, wide // self.size
        across, down = columns * side, rows * side
        top = left = 0
        if self.config["unpad"]:
            if width / height > across / down:
                top = (down - int(height * (across / width))) // 2
            else:
                left = (across - int(width * (down / height))) // 2
        found = list(features[0])
        for y in range(top, down - top):
            for x in range(left, across - left):
                tile = 1 + y // side * columns + x // side
                found.append(features[tile][y % side * side + x % side])
            if self.config["unpad"]:
                found.append(self.w("image_newline"))
        return np.stack(found)

    def seen(self, picture: Image.Image) -> Array:
        """A picture's rows [tokens, hidden]."""
        features = self.abstractor(self.tower(self.prepared(picture)), self.queries)
        return self.assembled(features, *picture.size)

    # ------------------------------------------------------------ Llama

    def logits(self, tokens: Sequence[int], pictures: Sequence[Array] = ()) -> Array:
        """Logits [length, vocabulary]; negative tokens are places of the pictures' rows."""
        embeddings = self.w("language_model.model.embed_tokens.weight")
        rows = iter(np.concatenate(pictures) if pictures else ())
        x = np.stack([embeddings[token] if token >= 0 else next(rows) for token in tokens])
        for number in range(self.text["num_hidden_layers"]):
            x = self.decoder_layer(x, f"language_model.model.layers.{number}")
        head = "language_model.lm_head.weight"
        x = self.rms(x, "language_model.model.norm.weight")
        return x @ (self.w(head) if head in self._weights else embeddings).T

    def decoder_layer(self, x: Array, layer: str) -> Array:
        x = x + self.attention(self.rms(x, f"{layer}.input_layernorm.weight"), layer)
        normed = self.rms(x, f"{layer}.post_attention_layernorm.weight")
        gate = silu(normed @ self.w(f"{layer}.mlp.gate_proj.weight").T)
        up = normed @ self.w(f"{layer}.mlp.up_proj.weight").T
        return x + (gate * up) @ self.w(f"{layer}.mlp.down_proj.weight").T

    def attention(self, x: Array, layer: str) -> Array:
        heads, shared = self.text["num_attention_heads"], self.text["num_key_value_heads"]
        length, width = len(x), self.text["head_dim"]
        q, k, v = (
            (x @ self.w(f"{layer}.self_attn.{name}_proj.weight").T)
            .reshape(length, -1, width)
            .transpose(1, 0, 2)
            for name in "qkv"
        )
        q, k = self.turned(q), self.turned(k)
        k, v = (np.repeat(one, heads // shared, axis=0) for one in (k, v))
        scores = q @ k.transpose(0, 2, 1) / math.sqrt(width)
        scores = np.where(np.tri(length, dtype=bool), scores, -np.inf)
        mixed = (softmax(scores) @ v).transpose(1, 0, 2).reshape(length, -1)
        return mixed @ self.w(f"{layer}.self_attn.o_proj.weight").T

    def turned(self, x: Array) -> Array:
        half = x.shape[-1] // 2
        speeds = self.text["rope_theta"] ** (-np.arange(half) / half)
        angles = np.arange(x.shape[1])[:, None] * speeds
        cos, sin = np.cos(angles), np.sin(angles)
        first, second = x[..., :half], x[..., half:]
        return np.concatenate([first * cos - second * sin, second * cos + first * sin], -1)

    def rms(self, x: Array, name: str) -> Array:
        mean = (x**2).mean(-1, keepdims=True)
        return x / np.sqrt(mean + self.text["rms_norm_eps"]) * self.w(name)


def _pasted(picture: Image.Image, tall: int, wide: int) -> Array:
    canvas = np.full((tall, wide, 3), 127.0)
    top, left = (tall - picture.height) // 2, (wide - picture.width) // 2
    canvas[top : top + picture.height, left : left + picture.width] = np.asarray(picture)
    return canvas
