"""Loads models with the classes of transformers; code that a folder brings is never run."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from transformers import AutoConfig
from transformers.utils import logging as hub_logging

from app.provider.errors import ModelNotLoadable
from app.provider.headers.safetensors import IncompleteFileError, main_type, read_weights


def stored_type(folder: Path) -> str:
    """The type of most weights, in safetensors' words; raises ModelNotLoadable."""
    try:
        weights = read_weights(sorted(folder.glob("model*.safetensors")))
    except (OSError, IncompleteFileError) as error:
        raise ModelNotLoadable(f"The weights cannot be read: {error}") from error
    return main_type(weights.tensors.values())


def read_config(folder: Path, source: Any = AutoConfig) -> Any:
    """config.json, read by ``source``; raises ModelNotLoadable."""
    try:
        config = source.from_pretrained(folder, local_files_only=True, trust_remote_code=False)
    except Exception as error:  # whatever transformers stumbles over
        raise _not_loaded(error) from error
    if getattr(config, "quantization_config", None):
        raise ModelNotLoadable("Its weights are packed: take the original model.")
    return config


def load_pretrained(
    kind_of_model: Any, folder: Path, config: Any, kind: torch.dtype, **options: Any
) -> Any:
    """A model of transformers with all its weights; raises ModelNotLoadable.

    ``options`` are given to its constructor.
    """
    hub_logging.disable_progress_bar()
    try:
        model, report = kind_of_model.from_pretrained(
            folder,
            config=config,
            dtype=kind,
            local_files_only=True,
            trust_remote_code=False,
            use_safetensors=True,
            ignore_mismatched_sizes=True,  # they are reported, and refused here by name
            output_loading_info=True,
            **options,
        )
    except Exception as error:  # whatever transformers stumbles over
        raise _not_loaded(error) from error
    misshapen = [name for name, *_ in report["mismatched_keys"]]
    if wrong := sorted([*report["missing_keys"], *misshapen]):
        raise ModelNotLoadable(f"The weights lack or misshape {wrong[0]}.")
    model.eval().requires_grad_(False)
    return model


def _not_loaded(error: Exception) -> ModelNotLoadable:
    return ModelNotLoadable(f"transformers cannot load this model: {reason(error)}")


def reason(error: Exception) -> str:
    """The first line of what went wrong."""
    return (str(error).strip().splitlines() or [type(error).__name__])[0][:300]
