"""The weights of a folder of safetensors, tensor by tensor.

Both ways to name the tower are read: the Hub's ``vision_model.vision_model.`` and the shorter one
of newer versions of transformers. What the model does not use is left in the files.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from torch import nn

from app.provider.architectures.hyperclovax.config import HyperClovaXConfig, read_config
from app.provider.architectures.hyperclovax.model import HyperClovaX
from app.provider.errors import ModelNotLoadable

_HEAD = "language_model.lm_head.weight"
_EMBEDDINGS = "language_model.model.embed_tokens.weight"
_UNUSED = re.compile(
    r"vision_model\.(head|post_layernorm)\."
    r"|.*\.(rotary_emb\.inv_freq|position_ids)$"
)
_LAYER = re.compile(r"vision_model\.encoder\.layers\.(\d+)\.")


def load(folder: Path, dtype: torch.dtype) -> HyperClovaX:
    """The model with all its weights as ``dtype``; raises ModelNotLoadable."""
    config = read_config(folder)
    with torch.device("meta"):
        model = HyperClovaX(config)
    missing = set(dict(model.named_parameters(remove_duplicate=False))) - {_HEAD}
    for name, tensor in _tensors(folder):
        ours = _our_name(name, config)
        if ours is None:
            continue
        if ours not in missing and ours != _HEAD:
            raise ModelNotLoadable(f"The weights have a tensor that is not known: {name}.")
        _put(model, ours, _cast(name, tensor, dtype))
        missing.discard(ours)
    if missing:
        raise ModelNotLoadable(f"The weights lack {len(missing)} tensors, {min(missing)} first.")
    _complete(model)
    model.eval().requires_grad_(False)
    return model


def _tensors(folder: Path) -> Iterator[tuple[str, torch.Tensor]]:
    """All tensors of all files. Raises ModelNotLoadable for a file that is damaged."""
    paths = sorted(folder.glob("model*.safetensors"))
    if not paths:
        raise ModelNotLoadable("The folder has no weights (model*.safetensors).")
    for path in paths:
        try:
            with safe_open(path, framework="pt") as file:
                for name in file.keys():  # noqa: SIM118 - it is no dictionary
                    yield name, file.get_tensor(name)
        except (SafetensorError, OSError) as error:
            raise ModelNotLoadable(f"{path.name} is damaged: {error}") from error


def _our_name(name: str, config: HyperClovaXConfig) -> str | None:
    """The name of a parameter of ours; None for what is not used."""
    ours = re.sub(r"^vision_model\.vision_model\.", "vision_model.", name)
    layer = _LAYER.match(ours)
    if _UNUSED.match(ours) or (layer and int(layer[1]) >= config.layers):
        return None
    return None if ours == "image_newline" and not config.tiling.resolutions else ours


def _cast(name: str, tensor: torch.Tensor, dtype: torch.dtype) -> torch.Tensor:
    if not tensor.is_floating_point():
        raise ModelNotLoadable(f"{name} is packed as {tensor.dtype}: take the original weights.")
    return tensor.to(dtype)


def _put(model: HyperClovaX, name: str, tensor: torch.Tensor) -> None:
    """Make a tensor the parameter of that name, instead of copying it."""
    place, _, leaf = name.rpartition(".")
    module = model.get_submodule(place)
    if name == _HEAD:  # some have more rows than there are tokens
        tensor = tensor[: model.embeddings.num_embeddings]
    wanted = getattr(module, leaf).shape
    if tensor.shape != wanted:
        found = "x".join(map(str, tensor.shape))
        raise ModelNotLoadable(f"{name} is {found}, not {'x'.join(map(str, wanted))}.")
    setattr(module, leaf, nn.Parameter(tensor, requires_grad=False))


def _complete(model: HyperClovaX) -> None:
    """What files leave out: tied embeddings, and numbers that follow from the configuration."""
    head = model.get_submodule("language_model.lm_head")
    if head.weight.is_meta:
        head.weight = nn.Parameter(model.embeddings.weight, requires_grad=False)
    positions = model.vision_model.embeddings
    positions.position_ids = torch.arange(positions.num_positions).expand(1, -1)
    decoder = model.language_model.model
    decoder.rotary_emb = type(decoder.rotary_emb)(config=decoder.config)
