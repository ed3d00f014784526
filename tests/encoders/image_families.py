"""Families that encode images, and images and texts in one space."""

from __future__ import annotations

from typing import Any

from tests.encoders.family import SMALL, TOKENS, Family, tokenizer_config

IMAGENET = {"image_mean": [0.485, 0.456, 0.406], "image_std": [0.229, 0.224, 0.225]}
OPENAI = {
    "image_mean": [0.48145466, 0.4578275, 0.40821073],
    "image_std": [0.26862954, 0.26130258, 0.27577711],
}
HALVES = {"image_mean": [0.5, 0.5, 0.5], "image_std": [0.5, 0.5, 0.5]}
SCALED = {"do_resize": True, "do_rescale": True, "do_normalize": True, "rescale_factor": 1 / 255}

DINOV2: dict[str, Any] = {
    "architectures": ["Dinov2Model"],
    "model_type": "dinov2",
    "hidden_size": 64,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "mlp_ratio": 2,
    "hidden_act": "gelu",
    "image_size": 70,
    "patch_size": 14,
    "layer_norm_eps": 1e-6,
    "layerscale_value": 1.0,
    "qkv_bias": True,
    "use_swiglu_ffn": False,
    "torch_dtype": "float32",
}
DINOV2_IMAGES: dict[str, Any] = {
    "image_processor_type": "BitImageProcessor",
    **SCALED,
    **IMAGENET,
    "do_convert_rgb": True,
    "do_center_crop": True,
    "crop_size": {"height": 42, "width": 42},
    "size": {"shortest_edge": 48},
    "resample": 3,
}

VISION = {
    "dinov2": Family(
        "facebook/dinov2-small",
        "vision",
        DINOV2,
        files={"preprocessor_config.json": DINOV2_IMAGES},
    ),
    "dinov2-registers": Family(
        "facebook/dinov2-with-registers-small",
        "vision",
        {
            **DINOV2,
            "architectures": ["Dinov2WithRegistersModel"],
            "model_type": "dinov2_with_registers",
            "num_register_tokens": 4,
            "use_swiglu_ffn": True,
        },
        files={"preprocessor_config.json": DINOV2_IMAGES},
    ),
    "dinov3": Family(
        "facebook/dinov3-vits16-pretrain-lvd1689m",
        "vision",
        {
            "architectures": ["DINOv3ViTModel"],
            "model_type": "dinov3_vit",
            **SMALL,
            "hidden_act": "gelu",
            "image_size": 48,
            "patch_size": 16,
            "num_register_tokens": 4,
            "key_bias": False,
            "query_bias": True,
            "value_bias": True,
            "proj_bias": True,
            "mlp_bias": True,
            "layer_norm_eps": 1e-5,
            "layerscale_value": 1.0,
            "pos_embed_rescale": 2.0,
            "rope_theta": 100.0,
            "use_gated_mlp": False,
            "torch_dtype": "float32",
        },
        files={
            "preprocessor_config.json": {
                "image_processor_type": "DINOv3ViTImageProcessorFast",
                **SCALED,
                **IMAGENET,
                "crop_size": None,
                "do_center_crop": None,
                "do_convert_rgb": None,
                "default_to_square": True,
                "data_format": "channels_first",
                "resample": 2,
                "size": {"height": 48, "width": 48},
            }
        },
    ),
}

_TEXT = {**SMALL, "max_position_embeddings": TOKENS, "layer_norm_eps": 1e-6}
_IMAGE = {**SMALL, "image_size": 32, "patch_size": 8, "num_channels": 3, "layer_norm_eps": 1e-6}
_PRECISION = {"torch_dtype": "float32"}
_CLIP_TEXT = {
    "model_type": "clip_text_model",
    **_TEXT,
    "max_position_embeddings": 77,
    "layer_norm_eps": 1e-5,
    "hidden_act": "quick_gelu",
    "bos_token_id": 0,
    "eos_token_id": 2,
    "pad_token_id": 1,
    "projection_dim": 32,
    "vocab_size": 766,
}
_SIGLIP_IMAGES = {
    "image_processor_type": "SiglipImageProcessor",
    "processor_class": "SiglipProcessor",
    **SCALED,
    **HALVES,
    "resample": 3,
    "size": {"height": 32, "width": 32},
}
_SIGLIP2_TOKENS = tokenizer_config(
    "GemmaTokenizer",
    64,
    add_bos_token=False,
    add_eos_token=True,
    bos_token="<bos>",
    eos_token="<eos>",
    pad_token="<pad>",
    unk_token="<unk>",
    padding_side="right",
    do_lower_case=True,
    model_input_names=["input_ids"],
)

MULTIMODAL = {
    "clip": Family(
        "openai/clip-vit-base-patch32",
        "multimodal",
        {
            "architectures": ["CLIPModel"],
            "model_type": "clip",
            "logit_scale_init_value": 2.6592,
            "projection_dim": 32,
            "text_config": _CLIP_TEXT,
            "vision_config": {
                "model_type": "clip_vision_model",
                **_IMAGE,
                "layer_norm_eps": 1e-5,
                "hidden_act": "quick_gelu",
                "projection_dim": 32,
            },
            **_PRECISION,
        },
        "clip",
        {
            "preprocessor_config.json": {
                "feature_extractor_type": "CLIPFeatureExtractor",
                "do_center_crop": True,
                "do_normalize": True,
                "do_resize": True,
                **OPENAI,
                "crop_size": 32,
                "resample": 3,
                "size": 32,
            },
            "tokenizer_config.json": tokenizer_config(
                "CLIPTokenizer",
                77,
                bos_token="<|startoftext|>",
                eos_token="<|endoftext|>",
                pad_token="<|endoftext|>",
                unk_token="<|endoftext|>",
                do_lower_case=True,
            ),
        },
        extra={
            "text_model.embeddings.position_ids": (1, 77),
            "vision_model.embeddings.position_ids": (1, 17),
        },
    ),
    "siglip": Family(
        "google/siglip-base-patch16-224",
        "multimodal",
        {
            "architectures": ["SiglipModel"],
            "model_type": "siglip",
            "text_config": {"model_type": "siglip_text_model", **_TEXT, "vocab_size": 600},
            "vision_config": {"model_type": "siglip_vision_model", **_IMAGE},
            **_PRECISION,
        },
        "siglip",
        {
            "preprocessor_config.json": _SIGLIP_IMAGES,
            "tokenizer_config.json": tokenizer_config(
                "SiglipTokenizer",
                64,
                do_lower_case=True,
                eos_token="</s>",
                pad_token="</s>",
                unk_token="<unk>",
                model_input_names=["input_ids"],
            ),
        },
    ),
    "siglip2": Family(
        "google/siglip2-base-patch16-224",
        "multimodal",
        {
            "architectures": ["SiglipModel"],
            "model_type": "siglip",
            "text_config": {
                "model_type": "siglip_text_model",
                **_TEXT,
                "hidden_act": "gelu_pytorch_tanh",
                "projection_size": 64,
                "vocab_size": 1200,
            },
            "vision_config": {"model_type": "siglip_vision_model", **_IMAGE},
            **_PRECISION,
        },
        "siglip2",
        {
            "preprocessor_config.json": {**_SIGLIP_IMAGES, "resample": 2},
            "tokenizer_config.json": _SIGLIP2_TOKENS,
        },
    ),
    "siglip2-naflex": Family(
        "google/siglip2-base-patch16-naflex",
        "multimodal",
        {
            "architectures": ["Siglip2Model"],
            "model_type": "siglip2",
            "text_config": {
                "model_type": "siglip2_text_model",
                **_TEXT,
                "projection_size": 64,
                "vocab_size": 1200,
            },
            "vision_config": {
                "model_type": "siglip2_vision_model",
                **SMALL,
                "num_channels": 3,
                "num_patches": 16,
                "patch_size": 8,
                "layer_norm_eps": 1e-6,
            },
            **_PRECISION,
        },
        "siglip2",
        {
            "preprocessor_config.json": {
                "image_processor_type": "Siglip2ImageProcessor",
                "processor_class": "Siglip2Processor",
                **SCALED,
                **HALVES,
                "resample": 2,
                "do_convert_rgb": None,
                "patch_size": 8,
                "max_num_patches": 24,
            },
            "tokenizer_config.json": _SIGLIP2_TOKENS,
        },
    ),
}
