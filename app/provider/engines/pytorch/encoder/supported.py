"""Which encoders transformers computes with its own classes. Imports nothing of PyTorch."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from app.provider.catalogue.engine_choice import NO_ENGINE
from app.provider.encoding.folders.settings import EncoderSettings
from app.provider.engines.pytorch.transformers_tables import has_class
from app.provider.headers.fields import number, text

NOMIC = "nomic_bert"
_SAME_AS_FOREIGN = (NOMIC, "eurobert")
"""Model types that transformers has adopted, although their folders still name code of their own.

Others use the type of a model that transformers has, and mean a changed one.
"""

_TABLES = {
    "embedding": "MODEL_MAPPING_NAMES",
    "vision": "MODEL_MAPPING_NAMES",
    "multimodal": "MODEL_MAPPING_NAMES",
    "rerank": "MODEL_FOR_SEQUENCE_CLASSIFICATION_MAPPING_NAMES",
}
_FOREIGN = (
    "The model brings code of its own, which is never run: take a model that transformers knows, "
    "or one that was exported to ONNX."
)
_NOMIC_VARIANT = "transformers computes this variant of nomic-bert differently: its {} is {}."
_NOMIC = {
    "activation_function": "swiglu",
    "causal": False,
    "mlp_fc1_bias": False,
    "mlp_fc2_bias": False,
    "prenorm": False,
    "qkv_proj_bias": False,
    "rotary_emb_fraction": 1.0,
    "rotary_emb_interleaved": False,
    "use_rms_norm": False,
}
"""What nomic-embed-text's config.json says where transformers has no choice."""


def encoder_refusal(settings: EncoderSettings, config: Mapping[str, Any]) -> str | None:
    """Why transformers would not compute the encoder as it is meant; None if it might."""
    if config.get("quantization_config"):
        return "Its weights are packed: take the original model."
    if settings.foreign_code and settings.model_type not in _SAME_AS_FOREIGN:
        return _FOREIGN
    if settings.model_type == NOMIC and (refusal := _nomic_refusal(config)):
        return refusal
    if not has_class(settings.model_type, _TABLES[settings.kind]):
        return NO_ENGINE.format(settings.model_type or "(none is named)")
    return None


def _nomic_refusal(config: Mapping[str, Any]) -> str | None:
    if number(config, "moe_every_n_layers") or number(config, "num_experts") > 1:
        return "Its mixture of experts is not computed by transformers: take its GGUF file."
    for name, usual in _NOMIC.items():
        if (stated := config.get(name, usual)) != usual:
            return _NOMIC_VARIANT.format(name, stated)
    return None


def native_nomic(config: Mapping[str, Any]) -> dict[str, Any]:
    """Nomic's config.json in transformers' words; as it is where it has these already."""
    if text(config, "hidden_act") or "n_embd" not in config:
        return dict(config)
    return {
        "model_type": NOMIC,
        "hidden_size": config["n_embd"],
        "num_hidden_layers": config.get("n_layer", 12),
        "num_attention_heads": config.get("n_head", 12),
        "intermediate_size": config.get("n_inner") or 4 * config["n_embd"],
        "hidden_act": "silu",
        "layer_norm_eps": config.get("layer_norm_epsilon", 1e-12),
        "max_position_embeddings": config.get("n_positions", 8192),
        "rope_parameters": {
            "rope_type": "default",
            "rope_theta": float(config.get("rotary_emb_base", 10000)),
        },
        "type_vocab_size": config.get("type_vocab_size", 2),
        "vocab_size": config.get("vocab_size", 30528),
    }
