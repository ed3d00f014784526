"""A tiny Qwen2.5-VL with random weights, in the layout of the Hub."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers

SPECIAL = (
    "<|endoftext|>",
    "<|im_start|>",
    "<|im_end|>",
    "<|vision_start|>",
    "<|vision_end|>",
    "<|image_pad|>",
    "<|video_pad|>",
)
TEMPLATE = (
    "{% for message in messages %}<|im_start|>{{ message.role }}\n"
    "{% if message.content is string %}{{ message.content }}{% else %}"
    "{% for part in message.content %}{% if part.type == 'image' %}"
    "<|vision_start|><|image_pad|><|vision_end|>{% else %}{{ part.text }}{% endif %}{% endfor %}"
    "{% endif %}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
VOCABULARY = 264

Tensor = NDArray[np.float32]
Named = tuple[str, tuple[int, ...]]
"""The name of a tensor, and its shape."""

VISION = {
    "model_type": "qwen2_5_vl",
    "depth": 3,
    "hidden_size": 48,
    "num_heads": 3,
    "intermediate_size": 64,
    "out_hidden_size": 64,
    "patch_size": 14,
    "spatial_merge_size": 2,
    "temporal_patch_size": 2,
    "in_channels": 3,
    "in_chans": 3,
    "window_size": 112,
    "fullatt_block_indexes": [1],
    "hidden_act": "silu",
    "tokens_per_second": 2,
}
CONFIG: dict[str, Any] = {
    "architectures": ["Qwen2_5_VLForConditionalGeneration"],
    "model_type": "qwen2_5_vl",
    "hidden_size": 64,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "intermediate_size": 96,
    "vocab_size": VOCABULARY,
    "max_position_embeddings": 4096,
    "rms_norm_eps": 1e-6,
    "rope_theta": 10000.0,
    "rope_scaling": {"type": "mrope", "mrope_section": [2, 3, 3]},
    "hidden_act": "silu",
    "tie_word_embeddings": True,
    "torch_dtype": "float32",
    "bos_token_id": 256,
    "eos_token_id": 258,
    "vision_start_token_id": 259,
    "vision_end_token_id": 260,
    "image_token_id": 261,
    "video_token_id": 262,
    "vision_config": VISION,
}
PREPROCESSOR = {
    "image_processor_type": "Qwen2VLImageProcessor",
    "min_pixels": 4 * 784,
    "max_pixels": 64 * 784,
    "patch_size": 14,
    "merge_size": 2,
    "temporal_patch_size": 2,
}


def write_qwen_vl(folder: Path, **config: Any) -> Path:
    """The folder of the tiny model; ``config`` changes what config.json says."""
    folder.mkdir(parents=True)
    (folder / "config.json").write_text(json.dumps(CONFIG | config))
    (folder / "preprocessor_config.json").write_text(json.dumps(PREPROCESSOR))
    (folder / "tokenizer_config.json").write_text(
        json.dumps({"chat_template": TEMPLATE, "eos_token": "<|im_end|>"})
    )
    _tokenizer().save(str(folder / "tokenizer.json"))
    _save(folder / "model.safetensors", _weights(CONFIG | config))
    return folder


def _tokenizer() -> Tokenizer:
    """Bytes, and the special tokens."""
    letters = sorted(pre_tokenizers.ByteLevel.alphabet())
    tokenizer = Tokenizer(models.BPE({letter: n for n, letter in enumerate(letters)}, []))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.add_special_tokens([AddedToken(text, special=True) for text in SPECIAL])
    return tokenizer


def _weights(config: dict[str, Any]) -> dict[str, Tensor]:
    """Random numbers, large enough for answers to depend on every picture."""
    random = np.random.default_rng(5)
    return {
        name: np.ones(shape, np.float32)
        if "norm" in name or "ln_q" in name
        else random.normal(0, 0.15, shape).astype(np.float32)
        for name, shape in (*_of_text(config), *_of_vision(config["vision_config"]))
    }


def _of_text(config: dict[str, Any]) -> Iterator[Named]:
    hidden, inner = config["hidden_size"], config["intermediate_size"]
    keys = hidden // config["num_attention_heads"] * config["num_key_value_heads"]
    yield "model.embed_tokens.weight", (config["vocab_size"], hidden)
    yield "model.norm.weight", (hidden,)
    for n in range(config["num_hidden_layers"]):
        layer = f"model.layers.{n}"
        yield f"{layer}.input_layernorm.weight", (hidden,)
        yield f"{layer}.post_attention_layernorm.weight", (hidden,)
        for name, out in (("q", hidden), ("k", keys), ("v", keys)):
            yield from _linear(f"{layer}.self_attn.{name}_proj", out, hidden)
        yield f"{layer}.self_attn.o_proj.weight", (hidden, hidden)
        yield f"{layer}.mlp.gate_proj.weight", (inner, hidden)
        yield f"{layer}.mlp.up_proj.weight", (inner, hidden)
        yield f"{layer}.mlp.down_proj.weight", (hidden, inner)


def _of_vision(config: dict[str, Any]) -> Iterator[Named]:
    hidden, inner = config["hidden_size"], config["intermediate_size"]
    yield "visual.patch_embed.proj.weight", (hidden, 3, 2, 14, 14)
    yield "visual.merger.ln_q.weight", (hidden,)
    yield from _linear("visual.merger.mlp.0", 4 * hidden, 4 * hidden)
    yield from _linear("visual.merger.mlp.2", config["out_hidden_size"], 4 * hidden)
    for n in range(config["depth"]):
        block = f"visual.blocks.{n}"
        yield f"{block}.norm1.weight", (hidden,)
        yield f"{block}.norm2.weight", (hidden,)
        yield from _linear(f"{block}.attn.qkv", 3 * hidden, hidden)
        yield from _linear(f"{block}.attn.proj", hidden, hidden)
        yield from _linear(f"{block}.mlp.gate_proj", inner, hidden)
        yield from _linear(f"{block}.mlp.up_proj", inner, hidden)
        yield from _linear(f"{block}.mlp.down_proj", hidden, inner)


def _linear(name: str, out: int, inner: int) -> list[Named]:
    return [(f"{name}.weight", (out, inner)), (f"{name}.bias", (out,))]


def _save(path: Path, tensors: dict[str, Tensor]) -> None:
    """A safetensors file."""
    header: dict[str, Any] = {"__metadata__": {"format": "pt"}}
    offset = 0
    for name, tensor in tensors.items():
        place = [offset, offset + tensor.nbytes]
        header[name] = {"dtype": "F32", "shape": list(tensor.shape), "data_offsets": place}
        offset += tensor.nbytes
    words = json.dumps(header).encode()
    with path.open("wb") as file:
        file.write(len(words).to_bytes(8, "little") + words)
        file.writelines(tensor.tobytes() for tensor in tensors.values())
