"""The two configuration files of the HyperCLOVA X checkpoint (layout of the main revision)."""

from typing import Any

from transformers import PreTrainedTokenizerFast

from app.provider.architectures.hyperclovax.tiling import resolutions
from training.vision_starter.chatml import CONTEXT
from training.vision_starter.hyperclovax_prompt import END_OF_TEXT, IM_END, IMAGE, VIDEO

TILE, SIDE, GRIDS = 84, 3, 4  # pixels of a tile; tokens along it; most tiles of a picture


def settings(tokenizer: PreTrainedTokenizerFast) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return config.json and preprocessor_config.json."""
    ids = {
        name: tokenizer.convert_tokens_to_ids(name) for name in (IMAGE, VIDEO, IM_END, END_OF_TEXT)
    }
    queries = {
        "num_queries_vis_abstractor_image": SIDE**2,
        "num_queries_vis_abstractor_video_slow": SIDE**2,
        "num_queries_vis_abstractor_video_fast": 1,
        "first_last_frames_slow": False,
    }
    canvases = [[one.height, one.width] for one in resolutions(TILE, GRIDS, single=True)]
    anyres = {"anyres": True, "unpad": True, "max_num_grids": GRIDS}
    config = {
        "architectures": ["HCXVisionForCausalLM"],
        "model_type": "hyperclovax_vlm",
        "mm_projector_type": "cabstractor",
        "proj_pos_emb": True,
        "proj_prenorm": False,
        "use_nth_layer": -2,
        "use_1x1_grid": True,
        **anyres,
        **queries,
        "possible_resolutions": canvases,
        "image_token_id": ids[IMAGE],
        "img_start_id": ids[IMAGE],
        "video_token_id": ids[VIDEO],
        "decoder_max_length": CONTEXT,
        "ignore_index": -100,
        "torch_dtype": "float16",
        "text_config": _text(len(tokenizer), ids),
        "vision_config": _vision(),
    }
    return config, {**_preprocessor(), **anyres, **queries, "possible_resolutions": canvases}


def _text(vocabulary: int, ids: dict[str, int]) -> dict[str, Any]:
    return {
        "architectures": ["LlamaForCausalLM"],
        "model_type": "llama",
        "vocab_size": vocabulary,
        "hidden_size": 128,
        "intermediate_size": 384,
        "num_hidden_layers": 3,
        "num_attention_heads": 4,
        "num_key_value_heads": 2,
        "head_dim": 32,
        "hidden_act": "silu",
        "rms_norm_eps": 1e-5,
        "rope_theta": 10000.0,
        "max_position_embeddings": CONTEXT,
        "tie_word_embeddings": True,
        "attention_bias": False,
        "bos_token_id": ids[END_OF_TEXT],
        "eos_token_id": ids[IM_END],
        "pad_token_id": ids[END_OF_TEXT],
        "initializer_range": 0.06,
        "torch_dtype": "float16",
    }


def _vision() -> dict[str, Any]:
    """Four layers, of which the first three are used, as the family uses all but one."""
    return {
        "model_type": "siglip_vision_model",
        "hidden_size": 96,
        "intermediate_size": 256,
        "num_hidden_layers": 4,
        "num_attention_heads": 3,
        "num_channels": 3,
        "image_size": TILE,
        "patch_size": 14,
        "hidden_act": "gelu_pytorch_tanh",
        "layer_norm_eps": 1e-6,
        "vision_use_head": False,
        "torch_dtype": "float16",
    }


def _preprocessor() -> dict[str, Any]:
    return {
        "image_processor_type": "HCXVisionProcessor",
        "do_convert_rgb": True,
        "do_resize": True,
        "size": {"shortest_edge": TILE},
        "resample": 3,
        "do_center_crop": True,
        "crop_size": {"height": TILE, "width": TILE},
        "do_rescale": True,
        "rescale_factor": 1 / 255,
        "do_normalize": True,
        "image_mean": [0.5, 0.5, 0.5],
        "image_std": [0.5, 0.5, 0.5],
        "pad_to_square": True,
        "patch_size": 14,
        "max_image_cnt": 12,
    }
