"""A tiny HyperCLOVA X vision model with random weights, in both layouts of the Hub."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
from safetensors.numpy import save_file
from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers

Weights = dict[str, npt.NDArray[np.float32]]
Layout = Literal["main", "v0.1.0"]

SPECIAL = (
    "<|endoftext|>",
    "<|im_start|>",
    "<|im_end|>",
    "<|stop|>",
    "<|endofturn|>",
    "<|_unuse_missing_100270|>",
    "<|dummy3|>",
)
VOCABULARY = 264
VIDEO, IMAGE = 261, 262
SIZE, SIDE = 126, 3

TEXT: dict[str, Any] = {
    "model_type": "llama",
    "architectures": ["LlamaForCausalLM"],
    "hidden_size": 64,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "head_dim": 16,
    "intermediate_size": 96,
    "vocab_size": VOCABULARY,
    "tie_word_embeddings": True,
    "rms_norm_eps": 1e-5,
    "rope_theta": 1e8,
    "max_position_embeddings": 4096,
    "pad_token_id": 256,
    "torch_dtype": "float32",
}
VISION: dict[str, Any] = {
    "model_type": "siglip_vision_model",
    "hidden_size": 32,
    "intermediate_size": 48,
    "num_hidden_layers": 3,
    "num_attention_heads": 2,
    "num_channels": 3,
    "patch_size": 14,
    "image_size": SIZE,
    "hidden_act": "gelu_pytorch_tanh",
    "layer_norm_eps": 1e-6,
}
SHARED: dict[str, Any] = {
    "model_type": "hyperclovax_vlm",
    "architectures": ["HCXVisionForCausalLM"],
    "auto_map": {"AutoConfig": "configuration_hyperclovax.HCXVisionConfig"},
    "mm_projector_type": "cabstractor",
    "anyres": True,
    "unpad": True,
    "max_num_grids": 4,
    "use_1x1_grid": True,
    "use_nth_layer": -2,
    "proj_pos_emb": True,
    "proj_prenorm": False,
    "vision_config": VISION,
}
MAIN: dict[str, Any] = SHARED | {
    "text_config": TEXT,
    "image_token_id": IMAGE,
    "video_token_id": VIDEO,
    "num_queries_vis_abstractor_image": SIDE**2,
    "num_queries_vis_abstractor_video_slow": SIDE**2,
    "num_queries_vis_abstractor_video_fast": 1,
    "first_last_frames_slow": False,
}
OLD: dict[str, Any] = SHARED | {
    "language_config": TEXT,
    "img_start_id": IMAGE,
    "num_queries_vis_abstractor": SIDE**2,
}
CANVASES = [[SIZE * i, SIZE * j] for i in range(1, 5) for j in range(1, 5) if i * j <= 4]
PREPROCESSOR: dict[str, Any] = {
    "image_mean": [0.5, 0.5, 0.5],
    "image_std": [0.5, 0.5, 0.5],
    "resample": 3,
    "pad_to_square": True,
    "anyres": True,
    "unpad": True,
    "max_num_grids": 4,
    "max_image_cnt": 12,
    "possible_resolutions": CANVASES,
    "num_queries_vis_abstractor_image": SIDE**2,
    "num_queries_vis_abstractor_video_slow": SIDE**2,
    "num_queries_vis_abstractor_video_fast": 1,
    "first_last_frames_slow": False,
}

_TURN = "<|im_start|>{{ message.role }}\n{{ part.text }}<|im_end|>\n"
_PICTURE = (
    '<|im_start|>user (mime)\n{"type": "image/jpeg", "filename": "{{ part.filename }}"}<|im_end|>\n'
    "<|im_start|>user (vector)\n<|dummy3|><|im_end|>\n"
    '<|im_start|>image/aux\n{"ocr": "{{ part.ocr }}", "lens": "{{ part.lens_keywords }}"}'
    "<|im_end|>\n"
)
_PART = "{% if part.type == 'image' %}" + _PICTURE + "{% else %}" + _TURN + "{% endif %}"
_ASSISTANT = "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
TEMPLATES = {
    "main": "<|im_start|>tool_list\n<|im_end|>\n{% for message in messages %}"
    "{% for part in message.content %}" + _PART + "{% endfor %}{% endfor %}" + _ASSISTANT,
    "v0.1.0": "<|im_start|>tool_list\n<|im_end|>\n{% for message in messages %}"
    "{% set part = message.content %}" + _PART + "{% endfor %}" + _ASSISTANT,
}
"""In words of our own: what a message is, and which turns a picture becomes, are the Hub's."""


def write_hyperclovax(
    folder: Path,
    layout: Layout = "main",
    *,
    template: bool = True,
    tied: bool = True,
    seed: int = 3,
    **config: Any,
) -> Weights:
    """The folder of the tiny model, and its weights; ``config`` changes what config.json says."""
    stated = (MAIN if layout == "main" else OLD) | config
    text = stated.get("text_config") or stated["language_config"]
    weights = random_weights(stated["vision_config"], text, seed, tied=tied)
    folder.mkdir(parents=True)
    (folder / "config.json").write_text(json.dumps(stated))
    (folder / "preprocessor_config.json").write_text(json.dumps(PREPROCESSOR))
    settings = {"chat_template": TEMPLATES[layout]} if template else {}
    (folder / "tokenizer_config.json").write_text(json.dumps(settings))
    (folder / "generation_config.json").write_text('{"_from_model_config": true}')
    _tokenizer().save(str(folder / "tokenizer.json"))
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})
    return weights


def random_weights(
    vision: dict[str, Any], text: dict[str, Any], seed: int, *, tied: bool = True
) -> Weights:
    """Random numbers, large enough for answers to depend on every picture."""
    random = np.random.default_rng(seed)
    weights: Weights = {}
    shapes = [*_tower(vision), *_projector(vision, text), *_language(text)]
    if not tied:
        shapes.append(("language_model.lm_head.weight", (text["vocab_size"], text["hidden_size"])))
    for name, shape in shapes:
        norm = any(part in name for part in ("norm", ".bn."))
        centre = 1.0 if norm and name.endswith("weight") else 0.0
        width = 0.1 if len(shape) == 1 else 1.2 / np.sqrt(np.prod(shape[1:]))
        weights[name] = random.normal(centre, width, shape).astype(np.float32)
    weights["language_model.model.embed_tokens.weight"] *= 2
    return weights


Named = Iterator[tuple[str, tuple[int, ...]]]


def _tower(vision: dict[str, Any]) -> Named:
    hidden, inner = vision["hidden_size"], vision["intermediate_size"]
    home = "vision_model.vision_model"
    patch = vision["patch_size"]
    yield from _both(f"{home}.embeddings.patch_embedding", hidden, 3, patch, patch)
    positions = (vision["image_size"] // patch) ** 2
    yield f"{home}.embeddings.position_embedding.weight", (positions, hidden)
    for number in range(vision["num_hidden_layers"]):
        layer = f"{home}.encoder.layers.{number}"
        for norm in ("layer_norm1", "layer_norm2"):
            yield from _both(f"{layer}.{norm}", hidden)
        for name in ("q_proj", "k_proj", "v_proj", "out_proj"):
            yield from _both(f"{layer}.self_attn.{name}", hidden, hidden)
        yield from _both(f"{layer}.mlp.fc1", inner, hidden)
        yield from _both(f"{layer}.mlp.fc2", hidden, inner)
    yield from _both(f"{home}.post_layernorm", hidden)  # not used, as the head
    yield f"{home}.head.probe", (1, 1, hidden)
    yield from _both(f"{home}.head.layernorm", hidden)


def _projector(vision: dict[str, Any], text: dict[str, Any]) -> Named:
    width, hidden = vision["hidden_size"], text["hidden_size"]
    positions = (vision["image_size"] // vision["patch_size"]) ** 2
    yield "mm_projector.pos_emb", (1, positions, width)
    for stage in (0, 2):
        for number in (1, 2, 3):
            block = f"mm_projector.net.{stage}.b{number}"
            yield f"{block}.conv1.conv.weight", (width, width, 1, 1)
            yield f"{block}.conv2.conv.weight", (width, 1, 3, 3)
            yield f"{block}.conv3.conv.weight", (width, width, 1, 1)
            for conv in ("conv1", "conv2", "conv3"):
                yield from _both(f"{block}.{conv}.bn", width)
            yield from _both(f"{block}.se.fc1", width // 4, width, 1, 1)
            yield from _both(f"{block}.se.fc2", width, width // 4, 1, 1)
    yield from _both("mm_projector.readout.0", hidden, width)
    yield from _both("mm_projector.readout.2", hidden, hidden)
    yield "image_newline", (hidden,)


def _language(text: dict[str, Any]) -> Named:
    hidden, inner, width = text["hidden_size"], text["intermediate_size"], text["head_dim"]
    heads, shared = text["num_attention_heads"], text["num_key_value_heads"]
    home = "language_model.model"
    yield f"{home}.embed_tokens.weight", (text["vocab_size"], hidden)
    yield f"{home}.norm.weight", (hidden,)
    for number in range(text["num_hidden_layers"]):
        layer = f"{home}.layers.{number}"
        yield f"{layer}.input_layernorm.weight", (hidden,)
        yield f"{layer}.post_attention_layernorm.weight", (hidden,)
        yield f"{layer}.self_attn.q_proj.weight", (heads * width, hidden)
        yield f"{layer}.self_attn.k_proj.weight", (shared * width, hidden)
        yield f"{layer}.self_attn.v_proj.weight", (shared * width, hidden)
        yield f"{layer}.self_attn.o_proj.weight", (hidden, heads * width)
        yield f"{layer}.mlp.gate_proj.weight", (inner, hidden)
        yield f"{layer}.mlp.up_proj.weight", (inner, hidden)
        yield f"{layer}.mlp.down_proj.weight", (hidden, inner)


def _both(name: str, *shape: int) -> Named:
    yield f"{name}.weight", shape
    yield f"{name}.bias", shape[:1]


def _tokenizer() -> Tokenizer:
    """Bytes, and the special tokens."""
    letters = sorted(pre_tokenizers.ByteLevel.alphabet())
    tokenizer = Tokenizer(models.BPE({letter: n for n, letter in enumerate(letters)}, []))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.add_special_tokens([AddedToken(text, special=True) for text in SPECIAL])
    return tokenizer
