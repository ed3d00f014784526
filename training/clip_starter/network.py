"""The network: CLIP's own modules, small.

Its vision tower begins with the weights of the vision starter, whose layers already see shapes.
"""

from pathlib import Path

import torch
from safetensors.torch import load_file
from torch import nn
from torch.nn import functional
from transformers import CLIPConfig, CLIPModel, CLIPTokenizer

from training.clip_starter.pictures import PATCH, SIDE
from training.clip_starter.tokenizer import CONTEXT
from training.vision_starter.labels import NOTHING

GRID = (SIDE // PATCH, SIDE // PATCH)
TOLD = {"colour": 9, "shape": 4, "count": 4}  # what the helping head says of a patch


LEARNED = Path("models/starter-vision-hyperclovax/model.safetensors")
LEARNED_LAYERS = 3  # that model leaves the last of its four out
LEARNED_GRID = 6  # patches along its square
SPREAD = 2.0  # standard deviation within the vector of a patch, before its layers; measured


def new_network(tokenizer: CLIPTokenizer) -> CLIPModel:
    """Return a network that has learned nothing but to see."""
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
        "num_hidden_layers": LEARNED_LAYERS + 1,
        "num_attention_heads": 3,
        "image_size": SIDE,
        "patch_size": PATCH,
        "hidden_act": "gelu_pytorch_tanh",
        "layer_norm_eps": 1e-6,
    }
    config = CLIPConfig(text_config=text, vision_config=vision, projection_dim=64)
    network = CLIPModel(config)
    _spread(network)
    _take_over(network)
    return network


def _spread(network: CLIPModel) -> None:
    """Start with wider weights than usual."""
    for name, values in network.named_parameters():
        if values.dim() > 1:
            nn.init.normal_(values, std=0.08 if "text_model" in name else 0.09)


@torch.no_grad()
def _take_over(network: CLIPModel) -> None:
    """Copy the tower of the vision starter; the layer that gathers what was seen stays new.

    CLIP's filters have no bias, and it normalises what they give: the bias goes into the positions,
    and the normalisation keeps the usual spread, so that the first layers compute as they did.
    """
    prefix = "vision_model.vision_model."
    learned = {
        name.removeprefix(prefix): values.float()
        for name, values in load_file(LEARNED).items()
        if name.startswith(prefix)
    }
    tower = network.vision_model
    own = tower.state_dict()
    layers = {f"encoder.layers.{at}." for at in range(LEARNED_LAYERS)}
    for name, values in own.items():
        if any(name.startswith(layer) for layer in layers):
            values.copy_(learned[name])
    own["embeddings.patch_embedding.weight"].copy_(learned["embeddings.patch_embedding.weight"])
    positions = learned["embeddings.position_embedding.weight"]
    square = positions.T.reshape(1, -1, LEARNED_GRID, LEARNED_GRID)
    grown = functional.interpolate(square, GRID, mode="bilinear").flatten(2)[0].T
    grown = grown + learned["embeddings.patch_embedding.bias"]
    own["embeddings.position_embedding.weight"][1:].copy_(grown)
    own["pre_layrnorm.weight"].fill_(SPREAD)


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
