"""From the vision tower's features to rows of the language model's input.

The names of modules are those of the Hub's files. The C-Abstractor is that of Honeybee
(https://arxiv.org/abs/2312.06742): RegNet blocks, a pool, RegNet blocks, two linear layers.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import nn
from torch.nn import functional

from app.provider.architectures.hyperclovax.config import HyperClovaXConfig

_NORM = 1e-5
"""Epsilon of the norms inside the blocks."""

_PRENORM = 1e-6
_BLOCKS = 3
"""RegNet blocks before the pool, and after it."""


class ChannelNorm(nn.LayerNorm):
    """A LayerNorm over the channels of ``[n, channels, height, width]``."""

    def forward(self, input: torch.Tensor) -> torch.Tensor:  # noqa: A002 - torch names it so
        """Normalise every position by itself."""
        return super().forward(input.permute(0, 2, 3, 1)).permute(0, 3, 1, 2)


class ConvNorm(nn.Module):
    """A convolution without bias, a norm, and SiLU where it is ``active``."""

    def __init__(self, width: int, kernel: int, *, groups: int = 1, active: bool = True) -> None:
        super().__init__()
        padding = kernel // 2
        self.conv = nn.Conv2d(width, width, kernel, padding=padding, groups=groups, bias=False)
        self.bn = ChannelNorm(width, eps=_NORM)
        self._active = active

    def forward(self, values: torch.Tensor) -> torch.Tensor:
        """``[n, width, height, width]`` → the same shape."""
        values = self.bn(self.conv(values))
        return functional.silu(values) if self._active else values


class SqueezeExcite(nn.Module):
    """Weighs channels by what they are on average."""

    def __init__(self, width: int) -> None:
        super().__init__()
        narrow = max(1, round(width / 4))
        self.fc1 = nn.Conv2d(width, narrow, 1)
        self.fc2 = nn.Conv2d(narrow, width, 1)

    def forward(self, values: torch.Tensor) -> torch.Tensor:
        """``[n, width, height, width]`` → the same shape."""
        mean = values.mean((2, 3), keepdim=True)
        return values * torch.sigmoid(self.fc2(functional.silu(self.fc1(mean))))


class Bottleneck(nn.Module):
    """RegNet's block with one channel per group, at one width throughout."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.conv1 = ConvNorm(width, 1)
        self.conv2 = ConvNorm(width, 3, groups=width)
        self.se = SqueezeExcite(width)
        self.conv3 = ConvNorm(width, 1, active=False)

    def forward(self, values: torch.Tensor) -> torch.Tensor:
        """``[n, width, height, width]`` → the same shape."""
        changed = self.conv3(self.se(self.conv2(self.conv1(values))))
        return functional.silu(values + changed)


class RegStage(nn.Sequential):
    """The RegNet blocks on one side of the pool, named ``b1``, ``b2`` and so on."""

    def __init__(self, width: int) -> None:
        super().__init__()
        for index in range(1, _BLOCKS + 1):
            self.add_module(f"b{index}", Bottleneck(width))


class CAbstractor(nn.Module):
    """Any number of queries out of a square of features, as long as it is a square number."""

    def __init__(self, config: HyperClovaXConfig, positions: int) -> None:
        super().__init__()
        width, hidden = config.vision_hidden, config.hidden
        if config.pos_emb:
            self.pos_emb = nn.Parameter(torch.randn(1, positions, width) * 0.02)
        if config.prenorm:
            self.prenorm = nn.LayerNorm(width, eps=_PRENORM)
        # The pool between the stages, which the files count as "1", has no weights.
        self.net = nn.ModuleDict({"0": RegStage(width), "2": RegStage(width)})
        self.readout = nn.Sequential(nn.Linear(width, hidden), nn.SiLU(), nn.Linear(hidden, hidden))
        self._has_pos_emb, self._has_prenorm = config.pos_emb, config.prenorm

    def forward(self, features: torch.Tensor, queries: Sequence[int]) -> list[torch.Tensor]:
        """``[tiles, positions, vision hidden]`` → for each tile ``[its queries, hidden]``."""
        if self._has_prenorm:
            features = self.prenorm(features)
        if self._has_pos_emb:
            features = features + self.pos_emb
        side = math.isqrt(features.shape[1])
        maps = self.net["0"](features.transpose(1, 2).unflatten(2, (side, side)))
        found: list[torch.Tensor] = [maps] * len(queries)  # every one is replaced
        for count in set(queries):
            at = [index for index, one in enumerate(queries) if one == count]
            for index, rows in zip(at, self._read_out(maps[at], count), strict=True):
                found[index] = rows
        return found

    def _read_out(self, maps: torch.Tensor, queries: int) -> torch.Tensor:
        side = math.isqrt(queries)
        pooled = self.net["2"](functional.adaptive_avg_pool2d(maps, (side, side)))
        rows: torch.Tensor = self.readout(pooled.flatten(2).transpose(1, 2))
        return rows


class Mlp(nn.Module):
    """Two linear layers, ``wider`` times as wide between them; every feature remains."""

    def __init__(self, width: int, hidden: int, wider: int) -> None:
        super().__init__()
        self.fc1 = nn.Linear(width, wider * width)
        self.fc2 = nn.Linear(wider * width, hidden)

    def forward(self, features: torch.Tensor, queries: Sequence[int]) -> list[torch.Tensor]:
        """``[tiles, positions, vision hidden]`` → for each tile ``[positions, hidden]``."""
        return list(self.fc2(functional.gelu(self.fc1(features)))[: len(queries)])


class Linear(nn.Linear):
    """One linear layer; every feature remains."""

    def forward(  # type: ignore[override, unused-ignore]
        self, features: torch.Tensor, queries: Sequence[int]
    ) -> list[torch.Tensor]:
        """``[tiles, positions, vision hidden]`` → for each tile ``[positions, hidden]``."""
        return list(super().forward(features)[: len(queries)])


def projector(config: HyperClovaXConfig, positions: int) -> nn.Module:
    """The projector that the configuration names, for ``positions`` features of a tile."""
    width, hidden = config.vision_hidden, config.hidden
    if config.projector == "cabstractor":
        return CAbstractor(config, positions)
    if config.projector == "linear":
        return Linear(width, hidden)
    return Mlp(width, hidden, 2 if config.projector == "inverted_mlp" else 1)
