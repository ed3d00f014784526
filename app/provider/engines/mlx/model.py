"""Loads the weights of an MLX or Hugging Face folder with mlx-lm.

The code of a model is always mlx-lm's: folders that bring their own code are refused.
"""

from __future__ import annotations

import importlib
import logging
from array import array
from collections.abc import Sequence
from pathlib import Path
from typing import Any, cast

import mlx.core as mx
from mlx.utils import tree_flatten, tree_map_with_path

from app.provider.errors import ModelNotLoadable
from app.provider.generation.image_encoder import ImageFeatures
from app.provider.generation.prepared_prompt import PreparedPrompt
from app.provider.headers.bounds import check_folder
from app.provider.headers.files import optional_json
from app.provider.types import Sampling

log = logging.getLogger(__name__)

_EMPTY_PROMPT = PreparedPrompt(array("i", [0]), "", Sampling())


class MlxModel:
    """A loaded model and the measures of its caches; raises ModelNotLoadable.

    ``size`` is the bytes of its weights. ``trained_context`` is 0 where the files do not say it.
    A sequence takes ``bytes_per_token`` for each token and ``bytes_per_row`` whatever its length.
    A ``stateful`` model can continue a computed sequence, but not cut it back to a shorter prefix.
    """

    def __init__(self, model: Any, config: dict[str, Any]) -> None:
        self._model = model
        if mx.default_device() == mx.Device(mx.cpu):
            _convert_to_float32(self._model, packed="quantization" in config)
        mx.eval(self._model.parameters())
        weights = cast("list[tuple[str, mx.array]]", tree_flatten(self._model.parameters()))
        self.size = sum(weight.nbytes for _, weight in weights)
        self.trained_context = _trained_context(config)
        cache = self._warm_up()
        self.bytes_per_token = sum(_bytes_per_token(one) for one in _layer_caches(cache))
        self.stateful = any(hasattr(one, "max_size") or not one.is_trimmable() for one in cache)
        self.bytes_per_row = sum(
            one.nbytes for one in _layer_caches(cache) if not _bytes_per_token(one)
        )

    def __call__(self, tokens: mx.array, cache: list[Any]) -> mx.array:
        """Compute logits [rows, n, vocabulary] in float32 of tokens [rows, n]; extends ``cache``.

        Half precision would make likely tokens equal that are not.
        """
        logits: mx.array = self._model(tokens, cache=cache)
        return logits.astype(mx.float32)

    def new_cache(self) -> list[Any]:
        """An empty cache of one sequence, an object for each layer."""
        caches = importlib.import_module("mlx_lm.models.cache")
        cache: list[Any] = caches.make_prompt_cache(self._model)
        return cache

    def batch_cache(
        self,
        cache: list[Any],
        _prompt: PreparedPrompt,
        _done: int,
        _images: Sequence[ImageFeatures[mx.array]],
    ) -> list[Any]:
        """Turn the ``cache`` of the first ``done`` tokens into what the batch keeps for a row."""
        return cache

    def sequence_cache(self, cache: list[Any]) -> list[Any]:
        """Turn what the batch keeps for a row back into keys and values."""
        return cache

    def _warm_up(self) -> list[Any]:
        """Compute one token, so that a model that cannot run is refused now."""
        cache = self.new_cache()
        if not all(hasattr(one, "merge") for one in cache):
            raise ModelNotLoadable("mlx-lm cannot batch the cache of this architecture.")
        mx.eval(self(mx.array([[0]]), self.batch_cache(cache, _EMPTY_PROMPT, 0, ())))
        return cache


def settings(folder: Path) -> dict[str, Any]:
    """The configuration of a folder; raises ModelNotLoadable."""
    config = optional_json(folder / "config.json")
    if not config:
        raise ModelNotLoadable("The folder has no config.json that can be read.")
    if "model_file" in config:
        raise ModelNotLoadable("The model brings code of its own, which is never run.")
    check_folder(folder, config)
    return config


def load(folder: Path, config: dict[str, Any]) -> tuple[Any, dict[str, Any]]:
    """mlx-lm's model, its weights still on disk, and its configuration.

    Raises ModelNotLoadable.
    """
    utils = importlib.import_module("mlx_lm.utils")
    try:
        model, loaded = utils.load_model(folder, lazy=True, model_config=_rope(config))
    except FileNotFoundError as error:
        raise ModelNotLoadable(
            "The folder has no weights that mlx-lm reads (model*.safetensors)."
        ) from error
    except Exception as error:  # whatever its code for the architecture stumbles over
        raise ModelNotLoadable(f"mlx-lm cannot load this model: {_error_line(error)}") from error
    return model, loaded


def _convert_to_float32(model: Any, *, packed: bool) -> None:
    """Convert to float32 what MLX computes several times slower on the CPU.

    That is float16, and both 16-bit types beside packed weights. Packed weights stay packed, and
    their scales, norms and biases are converted. Plain bfloat16 is no slower and prefills faster.
    The vision tower is never packed here.
    """

    def converted(name: str, weight: mx.array) -> mx.array:
        beside = packed and not name.startswith("vision_tower.")
        slow = mx.floating if beside else mx.float16
        return weight.astype(mx.float32) if mx.issubdtype(weight.dtype, slow) else weight

    model.update(tree_map_with_path(converted, model.parameters()))


def _error_line(error: Exception) -> str:
    """The first line of an error, without the list of tensors after it."""
    words = str(error).strip().splitlines() or [type(error).__name__]
    return words[0][:300]


def _rope(config: dict[str, Any]) -> dict[str, Any]:
    """The rotary settings under the names that mlx-lm reads.

    transformers 5 writes ``rope_parameters``. Most models of mlx-lm read only ``rope_theta`` and
    ``rope_scaling``, and would silently compute with their defaults.
    """
    rope = config.get("rope_parameters")
    if not isinstance(rope, dict):
        return {}
    found: dict[str, Any] = {}
    if "rope_theta" in rope and "rope_theta" not in config:
        found["rope_theta"] = rope["rope_theta"]
    if rope.get("rope_type", "default") != "default" and "rope_scaling" not in config:
        found["rope_scaling"] = rope
    return found


def _trained_context(config: dict[str, Any]) -> int:
    text = config.get("text_config")
    for section in (config, text if isinstance(text, dict) else {}):
        if isinstance(length := section.get("max_position_embeddings"), int):
            return length
    return 0


def _layer_caches(cache: list[Any]) -> list[Any]:
    """The caches of all layers; some layers have several."""
    found: list[Any] = []
    for one in cache:
        inner = getattr(one, "caches", None)
        found += _layer_caches(list(inner)) if inner is not None else [one]
    return found


def _bytes_per_token(cache: Any) -> int:
    """Bytes of one token in the cache of a layer; 0 for the fixed state of a recurrent layer."""
    keys, values = getattr(cache, "keys", None), getattr(cache, "values", None)
    if keys is None or values is None:
        return 0
    return int(keys.nbytes // keys.shape[2] + values.nbytes // values.shape[2])
