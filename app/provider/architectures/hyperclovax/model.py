"""The model: SigLIP's tower, a projector, a Llama.

The parts keep the names that they have in the Hub's files. transformers brings the tower and the
language model, nothing is downloaded and no code of a repository is run.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import nn
from transformers import AutoConfig, AutoModelForCausalLM, SiglipVisionConfig, SiglipVisionModel

from app.provider.architectures.hyperclovax.config import HyperClovaXConfig
from app.provider.architectures.hyperclovax.projector import projector
from app.provider.architectures.hyperclovax.tiling import Tiling


class HyperClovaX(nn.Module):
    """The whole model, built with random weights; ``loading.load`` reads those of a folder."""

    def __init__(self, config: HyperClovaXConfig) -> None:
        super().__init__()
        self.config = config
        tower = SiglipVisionModel(_vision_config(config))
        tower.post_layernorm = nn.Identity()  # what is used comes before it
        self.vision_model = tower
        self.mm_projector = projector(config, tower.embeddings.num_positions)
        if config.tiling.resolutions:
            self.image_newline = nn.Parameter(torch.randn(config.hidden) * config.hidden**-0.5)
        self.language_model = AutoModelForCausalLM.from_config(_language_config(config))

    @property
    def embeddings(self) -> nn.Embedding:
        """The language model's input embeddings."""
        found: nn.Embedding = self.language_model.get_input_embeddings()
        return found

    def features(self, tiles: torch.Tensor, queries: Sequence[int]) -> list[torch.Tensor]:
        """Tiles ``[n, 3, size, size]`` → for each of them ``[its queries, hidden]``."""
        weight = self.vision_model.embeddings.patch_embedding.weight
        values = self.vision_model(tiles.to(weight.device, weight.dtype)).last_hidden_state
        rows: list[torch.Tensor] = self.mm_projector(values, queries)
        return rows

    def encode(self, tiles: torch.Tensor, width: int, height: int) -> torch.Tensor:
        """Encode an image of so many pixels, in the type of the embeddings.

        ``tiles`` are those of ``pixels.tiles``. Returns ``[tokens, hidden]``.
        """
        queries = [self.config.tiling.side**2] * len(tiles)
        return self.arranged(self.features(tiles, queries), width, height)

    def arranged(self, features: Sequence[torch.Tensor], width: int, height: int) -> torch.Tensor:
        """The global view, then the local view row by row, as ``[tokens, hidden]``."""
        kind = self.embeddings.weight.dtype
        tiling = self.config.tiling
        first, *others = (one.to(kind) for one in features)
        canvas = tiling.canvas(width, height)
        if canvas is None:
            return first
        visible = tiling.window(width, height, canvas)
        whole = mapped(torch.stack(others), tiling, *tiling.grid(canvas))
        whole = whole[
            visible.top : visible.top + visible.rows, visible.left : visible.left + visible.columns
        ]
        if tiling.unpad:
            newline = self.image_newline.to(kind).expand(visible.rows, 1, -1)
            whole = torch.cat([whole, newline], dim=1)
        return torch.cat([first, whole.flatten(0, 1)])

    def spliced(self, tokens: torch.Tensor, pictures: Sequence[torch.Tensor]) -> torch.Tensor:
        """Embeddings ``[length, hidden]`` of a prompt with a placeholder for every visual token.

        ``pictures`` are the results of ``encode`` for its images, in order.
        """
        rows = self.embeddings(tokens)
        if not pictures:
            return rows
        at = (tokens == self.config.image_token).unsqueeze(1).expand_as(rows)
        return rows.masked_scatter(at, torch.cat(list(pictures)).to(rows.dtype))


def mapped(tiles: torch.Tensor, tiling: Tiling, rows: int, columns: int) -> torch.Tensor:
    """Features of tiles ``[rows x columns, side², hidden]`` as one map of the whole canvas.

    Returns ``[rows x side, columns x side, hidden]``.
    """
    side, hidden = tiling.side, tiles.shape[-1]
    parts = tiles.view(rows, columns, side, side, hidden)
    return parts.transpose(1, 2).reshape(rows * side, columns * side, hidden)


def _vision_config(config: HyperClovaXConfig) -> SiglipVisionConfig:
    stated = {name: value for name, value in config.vision.items() if name in _VISION_KEYS}
    return SiglipVisionConfig(**stated, num_hidden_layers=config.layers, vision_use_head=False)


_VISION_KEYS = (
    "hidden_size",
    "intermediate_size",
    "num_attention_heads",
    "num_channels",
    "image_size",
    "patch_size",
    "hidden_act",
    "layer_norm_eps",
)


def _language_config(config: HyperClovaXConfig) -> Any:
    stated = dict(config.text)
    kind = stated.pop("model_type")
    for name in ("dtype", "torch_dtype", "auto_map", "architectures"):
        stated.pop(name, None)  # one type for all parts, and transformers' own classes
    return AutoConfig.for_model(kind, **stated)
