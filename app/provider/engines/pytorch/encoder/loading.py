"""Loads the model of an encoder's folder with the class of transformers that computes it."""

from __future__ import annotations

import inspect
import logging
from collections.abc import Mapping
from typing import Any

import torch
from transformers import (
    AutoConfig,
    AutoModel,
    AutoModelForCausalLM,
    AutoModelForSequenceClassification,
    NomicBertConfig,
)
from transformers.utils import logging as hub_logging

from app.provider.encoding.folders.settings import EncoderSettings
from app.provider.engine import EngineLimits
from app.provider.engines.pytorch.device import device_for, type_for
from app.provider.engines.pytorch.encoder.supported import NOMIC, encoder_refusal, native_nomic
from app.provider.engines.pytorch.pretrained import load_pretrained, read_config, stored_type
from app.provider.errors import ModelNotLoadable
from app.provider.headers.bounds import check_folder
from app.provider.headers.files import read_json

log = logging.getLogger(__name__)

_OVERFLOWING = ("gemma3_text",)
"""Model types whose numbers do not fit float16."""


def load_model(settings: EncoderSettings, limits: EngineLimits) -> Any:
    """The model, all of it on the GPU or on the CPU; raises ModelNotLoadable."""
    hub_logging.set_verbosity_error()  # it warns of weights that are meant to be left out
    try:
        stated = read_json(settings.folder / "config.json")
    except (OSError, ValueError) as error:
        raise ModelNotLoadable("The folder has no config.json that can be read.") from error
    check_folder(settings.folder, stated)
    if refusal := encoder_refusal(settings, stated):
        raise ModelNotLoadable(refusal)
    config = _config(settings, stated)
    kind = _class(settings)
    device = device_for(limits.gpu_layers)
    if limits.gpu_layers and device.type == "cpu":
        log.warning("PyTorch finds no GPU: the encoder is computed on the CPU.")
    model = load_pretrained(
        kind, settings.folder, config, _type(settings, limits, device), **_options(kind, config)
    )
    model.config.use_cache = False  # keys and values are of no use after the pass
    return model.to(device)


def _config(settings: EncoderSettings, stated: Mapping[str, Any]) -> Any:
    if settings.model_type != NOMIC:
        return read_config(settings.folder, AutoConfig)
    try:
        return NomicBertConfig(**native_nomic(stated))
    except Exception as error:  # the class checks what it is given in its own ways
        raise ModelNotLoadable("Its config.json is damaged.") from error


def _class(settings: EncoderSettings) -> Any:
    if settings.kind != "rerank":
        return AutoModel
    prompt = settings.rerank_prompt
    answers = prompt is not None and not prompt.has_head
    return AutoModelForCausalLM if answers else AutoModelForSequenceClassification


def _options(kind: Any, config: Any) -> dict[str, Any]:
    """BERT-like models have a layer after their own pooling, which is not used here."""
    if kind is not AutoModel or type(config) not in AutoModel._model_mapping:
        return {}
    of_model = AutoModel._model_mapping[type(config)]
    known = inspect.signature(of_model.__init__).parameters
    return {"add_pooling_layer": False} if "add_pooling_layer" in known else {}


def _type(settings: EncoderSettings, limits: EngineLimits, device: torch.device) -> torch.dtype:
    kind = type_for(stored_type(settings.folder), device, limits.torch_dtype)
    overflows = kind == torch.float16 and settings.model_type in _OVERFLOWING
    return torch.float32 if overflows else kind
