"""Loads a folder: the language model, the vision tower and the chat template.

The code of an architecture is always that of transformers, or ours for HyperCLOVA X vision. Code
that a folder brings is never run.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from transformers import (
    AutoConfig,
    AutoModelForCausalLM,
    AutoModelForImageTextToText,
    HyperCLOVAXVisionV2Config,
)

from app.provider.architectures.hyperclovax import config as hyperclovax
from app.provider.architectures.hyperclovax import loading
from app.provider.architectures.hyperclovax.conversation import PLACEHOLDER, TEMPLATE, Conversation
from app.provider.architectures.qwen_vl import SETTINGS, Scaling
from app.provider.engine import EngineLimits
from app.provider.engines.pytorch.decoder import Decoder, layers_of
from app.provider.engines.pytorch.device import device_for, put, type_for
from app.provider.engines.pytorch.hf_folders import QWEN, THINK
from app.provider.engines.pytorch.pretrained import load_pretrained, read_config, stored_type
from app.provider.engines.pytorch.vision_towers import (
    HyperClovaXVisionTower,
    QwenVisionTower,
    VisionTower,
)
from app.provider.errors import ModelNotLoadable
from app.provider.generation.chat_template import ChatTemplate
from app.provider.generation.tokenizer import HubTokenizer
from app.provider.headers.bounds import check_folder
from app.provider.headers.files import optional_json, read_json

ENDS = ("<|im_end|>", "<|endofturn|>", "<|stop|>", "<|endoftext|>")
"""Tokens that end an answer wherever a vocabulary has them; some folders name none."""


@dataclass(frozen=True, slots=True)
class LoadedModel:
    """A loaded model. ``vision_tower`` is None where it takes text only.

    ``image_token`` is the placeholder of image tokens, whose embeddings are replaced.
    """

    decoder: Decoder
    vision_tower: VisionTower | None
    vocabulary: HubTokenizer
    chat: ChatTemplate
    image_token: int = 0


def load(folder: Path, limits: EngineLimits, progress: Callable[[int], None]) -> LoadedModel:
    """Load a folder as its ``model_type`` wants it; raises ModelNotLoadable."""
    try:
        config = read_json(folder / "config.json")
    except (OSError, ValueError) as error:
        raise ModelNotLoadable("The folder has no config.json that can be read.") from error
    check_folder(folder, config)
    device = device_for(limits.gpu_layers)
    kind = type_for(stored_type(folder), device, limits.torch_dtype)
    progress(0)
    if config.get("model_type") == hyperclovax.MODEL_TYPE:
        return _hyperclovax(folder, device, kind, limits)
    if config.get("model_type") in (QWEN, *THINK) and config.get("vision_config"):
        return _qwen(folder, config, device, kind, limits)
    return _text(folder, device, kind, limits)


def _hyperclovax(
    folder: Path, device: torch.device, kind: torch.dtype, limits: EngineLimits
) -> LoadedModel:
    model = loading.load(folder, kind)
    put(model, layers_of(model.language_model), device, limits.gpu_layers)
    vocabulary = HubTokenizer(folder, end_texts=ENDS)
    spelled = vocabulary.spelling(model.config.image_token)
    if not vocabulary.chat_templates:
        vocabulary.chat_templates, spelled = {"default": TEMPLATE}, PLACEHOLDER
    if not spelled:
        raise ModelNotLoadable("The tokenizer does not know the placeholder of pictures.")
    chat = Conversation(vocabulary, spelled, list_content=model.config.list_content)
    decoder = Decoder(model.language_model)
    vision_tower = HyperClovaXVisionTower(model, limits.image_tokens)
    return LoadedModel(decoder, vision_tower, vocabulary, chat, model.config.image_token)


def _qwen(
    folder: Path,
    config: dict[str, Any],
    device: torch.device,
    kind: torch.dtype,
    limits: EngineLimits,
) -> LoadedModel:
    # The Hub calls the type by a name that transformers does not look up by itself.
    source = HyperCLOVAXVisionV2Config if config["model_type"] in THINK else AutoConfig
    model = load_pretrained(AutoModelForImageTextToText, folder, read_config(folder, source), kind)
    put(model, layers_of(model), device, limits.gpu_layers)
    vocabulary = HubTokenizer(folder, end_texts=ENDS)
    token = model.config.image_token_id
    scaling = Scaling.of(optional_json(folder / SETTINGS)).limited(limits.image_tokens)
    axes = 3 if config["model_type"] == QWEN else 1
    tower = model.model.visual if axes == 3 else model.model.vision_model
    vision_tower = QwenVisionTower(model, tower, scaling, axes)
    chat = ChatTemplate(vocabulary, vocabulary.spelling(token))
    return LoadedModel(Decoder(model, axes), vision_tower, vocabulary, chat, token)


def _text(
    folder: Path, device: torch.device, kind: torch.dtype, limits: EngineLimits
) -> LoadedModel:
    model = load_pretrained(AutoModelForCausalLM, folder, read_config(folder), kind)
    put(model, layers_of(model), device, limits.gpu_layers)
    vocabulary = HubTokenizer(folder, end_texts=ENDS)
    return LoadedModel(Decoder(model), None, vocabulary, ChatTemplate(vocabulary))
