"""The network: Qwen2.5-VL's own modules, run over many equal pictures at once."""

import math

import torch
from torch import nn
from torch.nn import functional
from transformers import Qwen2_5_VLConfig, Qwen2_5_VLForConditionalGeneration
from transformers.models.qwen2_5_vl.modeling_qwen2_5_vl import (
    Qwen2_5_VisionTransformerPretrainedModel as Tower,
)

from training.vision_starter.labels import NOTHING, SIZES
from training.vision_starter.pictures import MERGE, PATCH, Grid

HIDDEN, VISION_HIDDEN, VISION_DEPTH = 128, 96, 3
CONTEXT = 2048  # tokens
START_SPREAD = {"vision": 0.09, "text": 0.06}  # of the weights; the usual 0.02 is too small here


Network = Qwen2_5_VLForConditionalGeneration


def new_network(vocabulary: int, ids: dict[str, int]) -> Network:
    """Return an untrained network; `ids` names the special tokens of the configuration."""
    rope = {"rope_type": "default", "rope_theta": 1e4, "mrope_section": [4, 6, 6]}
    text = {
        "vocab_size": vocabulary,
        "hidden_size": HIDDEN,
        "intermediate_size": 384,
        "num_hidden_layers": 3,
        "num_attention_heads": 4,
        "num_key_value_heads": 2,
        "max_position_embeddings": CONTEXT,
        "rms_norm_eps": 1e-6,
        "rope_parameters": rope,
        "tie_word_embeddings": True,
        "bos_token_id": None,
        "eos_token_id": ids.pop("eos_token_id", None),
        "pad_token_id": ids.pop("pad_token_id", None),
        "initializer_range": START_SPREAD["text"],
    }
    vision = {
        "depth": VISION_DEPTH,
        "hidden_size": VISION_HIDDEN,
        "num_heads": 3,
        "intermediate_size": 256,
        "out_hidden_size": HIDDEN,
        "fullatt_block_indexes": list(range(VISION_DEPTH)),
        "window_size": 112,
        "initializer_range": START_SPREAD["vision"],
    }
    config = Qwen2_5_VLConfig(
        text_config=text, vision_config=vision, tie_word_embeddings=True, **ids
    )
    network = Qwen2_5_VLForConditionalGeneration(config)
    detect_edges(network.model.visual)
    return network


def detect_edges(tower: Tower) -> None:
    """Start the first layer from smooth waves: edges and colours are there from the start."""
    filters = tower.patch_embed.proj.weight
    with torch.no_grad():
        filters.copy_(smooth_filters(len(filters))[:, :, None].expand_as(filters))


def smooth_filters(count: int, patch: int = PATCH) -> torch.Tensor:
    """Return (count, 3, patch, patch): waves (DCT) of brightness and of two colour contrasts."""
    step = (torch.arange(patch) + 0.5) * math.pi / patch
    waves = sorted(((u, v) for u in range(7) for v in range(7)), key=sum)[: math.ceil(count / 3)]
    blends = torch.tensor([[1, 1, 1], [1, -1, 0], [0.5, 0.5, -1]]) / math.sqrt(3)
    made = [torch.cos(u * step)[:, None] * torch.cos(v * step) / patch for u, v in waves]
    return torch.stack([blend[:, None, None] * wave for wave in made for blend in blends])[:count]


def encode_images(tower: Tower, patches: torch.Tensor, grid: Grid) -> torch.Tensor:
    """Return features (pictures, tokens, hidden) of patches (pictures, 4 * tokens, 588), one grid.

    The same sums as the tower's own forward, which takes one picture after the other. Both frames
    of the temporal patch are the same picture, so the two halves of the first filters add up.
    """
    first = tower.patch_embed.proj.weight.sum(2).flatten(1)
    hidden = functional.linear(patches, first)
    turns = _turns(tower, grid)
    for block in tower.blocks:
        hidden = hidden + _attend(block.attn, block.norm1(hidden), turns)
        hidden = hidden + block.mlp(block.norm2(hidden))
    features = tower.merger(hidden)
    return features.view(len(patches), -1, features.shape[-1])


def _turns(tower: Tower, grid: Grid) -> tuple[torch.Tensor, torch.Tensor]:
    rows, columns = torch.meshgrid(*(torch.arange(n * MERGE) for n in grid), indexing="ij")
    shape = (grid[0], MERGE, grid[1], MERGE)
    places = [p.reshape(shape).permute(0, 2, 1, 3).reshape(-1) for p in (rows, columns)]
    cos, sin = tower.rotary_pos_emb(rows, torch.stack(places, dim=1))
    return cos, sin


def _attend(
    attention: nn.Module, hidden: torch.Tensor, turns: tuple[torch.Tensor, torch.Tensor]
) -> torch.Tensor:
    pictures, length, width = hidden.shape
    mixed = attention.qkv(hidden).view(pictures, length, 3, attention.num_heads, -1)
    query, key, value = mixed.permute(2, 0, 3, 1, 4)
    query, key = _turn(query, *turns), _turn(key, *turns)
    seen = functional.scaled_dot_product_attention(query, key, value)
    return attention.proj(seen.transpose(1, 2).reshape(pictures, length, width))


def _turn(values: torch.Tensor, cos: torch.Tensor, sin: torch.Tensor) -> torch.Tensor:
    first, second = values.chunk(2, dim=-1)
    return values * cos + torch.cat((-second, first), dim=-1) * sin


class Helper(nn.Module):
    """A head that tells what each token shows. It helps training and is not part of the model."""

    def __init__(self) -> None:
        super().__init__()
        self.heads = nn.ModuleDict({name: nn.Linear(HIDDEN, size) for name, size in SIZES.items()})

    def forward(
        self, features: torch.Tensor, targets: dict[str, torch.Tensor]
    ) -> tuple[torch.Tensor, dict[str, float]]:
        """Return the loss and the share that is right, by what the head predicts."""
        loss, right = torch.zeros(()), {}
        for name, head in self.heads.items():
            scores, wanted = head(features).flatten(0, 1), targets[name].flatten()
            if (wanted != NOTHING).any():
                loss = loss + functional.cross_entropy(scores, wanted, ignore_index=NOTHING)
                predicted = scores.argmax(-1) == wanted
                right[name] = predicted[wanted != NOTHING].float().mean().item()
        return loss, right
