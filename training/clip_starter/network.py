"""The network: CLIP's own modules, small."""

import torch
from torch import nn
from torch.nn import functional
from transformers import CLIPConfig, CLIPModel, CLIPTokenizer

from training.clip_starter.pictures import PATCH, SIDE
from training.clip_starter.tokenizer import CONTEXT
from training.vision_starter.labels import NOTHING
from training.vision_starter.network import smooth_filters

GRID = (SIDE // PATCH, SIDE // PATCH)
TOLD = {"colour": 9, "shape": 4, "count": 4}  # what the helping head says of a patch


def new_network(tokenizer: CLIPTokenizer) -> CLIPModel:
    ids = {"bos_token_id": tokenizer.bos_token_id, "eos_token_id": tokenizer.eos_token_id}
    text = {
        "vocab_size": len(tokenizer),
        "hidden_size": 64,
        "intermediate_size": 128,
        "num_hidden_layers": 2,
        "num_attention_heads": 2,
        "max_position_embeddings": CONTEXT,
        "pad_token_id": tokenizer.pad_token_id,
        **ids,
    }
    vision = {
        "hidden_size": 96,
        "intermediate_size": 256,
        "num_hidden_layers": 3,
        "num_attention_heads": 3,
        "image_size": SIDE,
        "patch_size": PATCH,
    }
    config = CLIPConfig(text_config=text, vision_config=vision, projection_dim=64)
    network = CLIPModel(config)
    _spread(network)
    return network


def _spread(network: CLIPModel) -> None:
    """Start with wider weights than usual, and the first filters as smooth waves."""
    for name, values in network.named_parameters():
        if values.dim() > 1 and "text_model" in name:
            nn.init.normal_(values, std=0.08)
        elif values.dim() > 1:
            nn.init.normal_(values, std=0.09 if "position" not in name else 0.3)
    filters = network.vision_model.embeddings.patch_embedding.weight
    with torch.no_grad():
        filters.copy_(smooth_filters(len(filters), PATCH))


def see(network: CLIPModel, images: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Return the vectors of pictures, and the last hidden states of their patches."""
    seen = network.vision_model(pixel_values=images)
    vectors = network.visual_projection(seen.pooler_output)
    return functional.normalize(vectors, dim=-1), seen.last_hidden_state[:, 1:]


def read(network: CLIPModel, tokenizer: CLIPTokenizer, texts: list[str]) -> torch.Tensor:
    """Return the vectors of texts."""
    tokens = tokenizer(texts, padding=True, return_tensors="pt")
    vectors = network.text_projection(network.text_model(**tokens).pooler_output)
    return functional.normalize(vectors, dim=-1)


class Helper(nn.Module):
    """A head that says what each patch shows. It helps training and is not part of the model."""

    def __init__(self, hidden: int) -> None:
        super().__init__()
        self.heads = nn.ModuleDict({name: nn.Linear(hidden, size) for name, size in TOLD.items()})

    def forward(self, patches: torch.Tensor, targets: dict[str, torch.Tensor]) -> torch.Tensor:
        """Return the loss."""
        losses = [
            functional.cross_entropy(
                head(patches).flatten(0, 1), targets[name].flatten(), ignore_index=NOTHING
            )
            for name, head in self.heads.items()
        ]
        return torch.stack(losses).nan_to_num().sum()
