"""The scripted model of ``scripted`` as a folder of Hugging Face, for MLX and PyTorch."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from safetensors.numpy import save_file
from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers

from tests.provider.scripted import FEED_FORWARD, Matrix, _letters, _output, _token


def make_folder(
    folder: Path,
    template: str,
    script: Sequence[str],
    words: tuple[Sequence[str], Sequence[str]],
    eos: str,
) -> Path:
    """Write the folder, with the parameters of ``scripted.make``.

    ``words`` are the control tokens and the normal ones.
    """
    control, normal = words
    folder.mkdir(parents=True)
    letters = _letters()
    tokens = [*(letters[byte] for byte in range(256)), *normal, *control]
    width = -(-len(tokens) // 32) * 32
    follows = [_token(tokens, spelling) for spelling in ["\n", *script]]
    output = _output(width, follows, _token(tokens, eos))
    _write_tokenizer(folder, tokens[: 256 + len(normal)], control)
    _write(folder / "tokenizer_config.json", chat_template=template, eos_token=eos)
    _write(folder / "config.json", **_config(width, _token(tokens, eos)))
    save_file(_tensors(output), folder / "model.safetensors", metadata={"format": "pt"})
    return folder


def _write(path: Path, **facts: object) -> None:
    path.write_text(json.dumps(facts, ensure_ascii=False), encoding="utf-8")


def _write_tokenizer(folder: Path, ordinary: Sequence[str], control: Sequence[str]) -> None:
    tokenizer = Tokenizer(models.BPE({token: n for n, token in enumerate(ordinary)}, []))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.add_special_tokens([AddedToken(text, special=True) for text in control])
    tokenizer.save(str(folder / "tokenizer.json"))


def _config(width: int, end: int) -> dict[str, object]:
    return {
        "architectures": ["LlamaForCausalLM"],
        "model_type": "llama",
        "hidden_size": width,
        "intermediate_size": FEED_FORWARD,
        "num_hidden_layers": 1,
        "num_attention_heads": 4,
        "num_key_value_heads": 4,
        "max_position_embeddings": 2048,
        "rms_norm_eps": 1e-5,
        "rope_theta": 10000.0,
        "vocab_size": width,
        "tie_word_embeddings": False,
        "eos_token_id": end,
        "torch_dtype": "float32",
    }


def _tensors(output: Matrix) -> dict[str, Matrix]:
    width = len(output)
    ones, square = np.ones(width, np.float32), np.zeros((width, width), np.float32)
    layer = "model.layers.0"
    norms = {f"{layer}.{name}_layernorm.weight": ones for name in ("input", "post_attention")}
    attention = {f"{layer}.self_attn.{name}_proj.weight": square for name in "qkvo"}
    up = np.zeros((FEED_FORWARD, width), np.float32)
    down = np.zeros((width, FEED_FORWARD), np.float32)
    return {
        "model.embed_tokens.weight": np.eye(width, dtype=np.float32),
        "model.norm.weight": ones,
        "lm_head.weight": output,
        f"{layer}.mlp.gate_proj.weight": up,
        f"{layer}.mlp.up_proj.weight": up,
        f"{layer}.mlp.down_proj.weight": down,
        **norms,
        **attention,
    }
