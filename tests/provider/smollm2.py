"""SmolLM2-135M-Instruct: conversations with it, and its weights as a Hugging Face folder."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import gguf
import jinja2
import llama_cpp
import numpy as np
import numpy.typing as npt
from gguf.quants import dequantize
from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers

from app.provider.types import Message, Prompt, Role, Sampling

Conversation = list[tuple[Role, str]]

CONVERSATIONS: list[Conversation] = [
    [("user", "Say hello in one short sentence.")],
    [("system", "You are terse."), ("user", "What is the capital of France?")],
    [("user", "Hi!"), ("assistant", "Hello! How can I help?"), ("user", "Tell me a joke.")],
    [("user", "안녕하세요! 오늘 날씨가 어때요?")],
    [("system", "한국어로만 대답하세요."), ("user", "바다가 왜 파란가요?")],
    [("user", "What does 👩🏽‍🚀 mean, and 🏳️‍🌈? 🎉🎉")],
    [("user", "Fix this:\n```python\ndef f(x):\n\treturn  x+1234567890  # why?\n```\n")],
    [("user", "  leading spaces, tabs\t\tand\n\n\nlines, 1,234.5 and 2026-11-28  ")],
    [("user", "日本語と中文、العربية и русский: naïve café ﬁ Å")],
    [
        ("system", "Be kind."),
        ("user", "한국어 🎉"),
        ("assistant", "좋아요 👍"),
        ("user", "let x = {'a': [1, 2]};"),
        ("assistant", "<b>&amp;</b>"),
        ("user", "Thanks"),
    ],
]

COPYING: Conversation = [
    ("system", 'Repeat what the user says after "Repeat:", nothing else.'),
    ("user", "Repeat: 고양이 😀"),
    ("assistant", "고양이 😀"),
    ("user", "Repeat: 바다 🌊"),
    ("assistant", "바다 🌊"),
    ("user", "Repeat: 안녕하세요 👋🏽"),
    ("assistant", "안녕하세요 👋🏽"),
    ("user", "Repeat: 한국어 🎉"),
]
COPIED = "한국어 🎉"
"""What even a small model answers to that."""

HELLO: Conversation = CONVERSATIONS[0]
CONTROL = ("<|im_start|>", "<|im_end|>", "<|endoftext|>")


def prompt_of(conversation: Conversation, max_tokens: int = 48) -> Prompt:
    messages = tuple(Message.of(role, text) for role, text in conversation)
    return Prompt(messages, Sampling(temperature=0.0, max_tokens=max_tokens))


def rendered(template: str, conversation: Conversation) -> str:
    """What a chat template makes of a conversation, in a plain Jinja environment."""
    environment = jinja2.Environment(trim_blocks=True, lstrip_blocks=True)  # noqa: S701 — no page
    messages = [{"role": role, "content": text} for role, text in conversation]
    made = environment.from_string(template)
    return made.render(messages=messages, add_generation_prompt=True)


class Reference:
    """The file's template in plain Jinja and its vocabulary in llama.cpp, and nothing of ours."""

    def __init__(self, path: Path) -> None:
        llama_cpp.llama_backend_init()
        params = llama_cpp.llama_model_default_params()
        params.vocab_only = True
        self._model = llama_cpp.llama_model_load_from_file(str(path).encode(), params)
        self._vocabulary = llama_cpp.llama_model_get_vocab(self._model)
        self.template: str = llama_cpp.llama_model_chat_template(self._model, None).decode()

    def tokens(self, conversation: Conversation) -> list[int]:
        data = rendered(self.template, conversation).encode()
        tokens = (llama_cpp.llama_token * (len(data) + 8))()
        count = llama_cpp.llama_tokenize(
            self._vocabulary, data, len(data), tokens, len(tokens), True, True
        )
        return list(tokens[:count])

    def close(self) -> None:
        llama_cpp.llama_model_free(self._model)


def write_folder(source: Path, folder: Path) -> Path:
    """Write the GGUF as a Hugging Face folder in bfloat16."""
    reader = gguf.GGUFReader(source)
    facts = {name: field.contents() for name, field in reader.fields.items()}
    folder.mkdir()
    _write_json(folder / "config.json", _config(facts))
    _write_tokenizer(folder, facts)
    _write_weights(folder / "model.safetensors", reader, _config(facts))
    return folder


def _config(facts: dict[str, Any]) -> dict[str, Any]:
    return {
        "architectures": ["LlamaForCausalLM"],
        "model_type": "llama",
        "hidden_act": "silu",
        "hidden_size": facts["llama.embedding_length"],
        "intermediate_size": facts["llama.feed_forward_length"],
        "max_position_embeddings": facts["llama.context_length"],
        "num_attention_heads": facts["llama.attention.head_count"],
        "num_hidden_layers": facts["llama.block_count"],
        "num_key_value_heads": facts["llama.attention.head_count_kv"],
        "rms_norm_eps": facts["llama.attention.layer_norm_rms_epsilon"],
        "rope_theta": facts["llama.rope.freq_base"],
        "tie_word_embeddings": True,
        "torch_dtype": "bfloat16",
        "vocab_size": facts["llama.vocab_size"],
        "bos_token_id": facts["tokenizer.ggml.bos_token_id"],
        "eos_token_id": facts["tokenizer.ggml.eos_token_id"],
    }


def _write_tokenizer(folder: Path, facts: dict[str, Any]) -> None:
    """The family's tokeniser: digits alone, then bytes as GPT-2 splits them."""
    tokens: list[str] = facts["tokenizer.ggml.tokens"]
    merges = [tuple(merge.split(" ")) for merge in facts["tokenizer.ggml.merges"]]
    vocabulary = {token: number for number, token in enumerate(tokens)}
    tokenizer = Tokenizer(models.BPE(vocabulary, merges))
    digits = pre_tokenizers.Digits(individual_digits=True)
    letters = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence([digits, letters])
    tokenizer.decoder = decoders.ByteLevel()
    kinds = zip(tokens, facts["tokenizer.ggml.token_type"], strict=True)
    control = [token for token, kind in kinds if kind == gguf.TokenType.CONTROL]
    tokenizer.add_special_tokens([AddedToken(one, normalized=False) for one in control])
    tokenizer.save(str(folder / "tokenizer.json"))
    names = {name: tokens[facts[f"tokenizer.ggml.{name}_token_id"]] for name in ("bos", "eos")}
    settings = {f"{name}_token": text for name, text in names.items()}
    settings |= {
        "tokenizer_class": "PreTrainedTokenizerFast",
        "chat_template": facts["tokenizer.chat_template"],
    }
    _write_json(folder / "tokenizer_config.json", settings)


def _write_weights(path: Path, reader: gguf.GGUFReader, config: dict[str, Any]) -> None:
    """By hand: NumPy, and so the library's NumPy writer, knows no bfloat16."""
    header: dict[str, Any] = {"__metadata__": {"format": "pt"}}
    blobs: list[bytes] = []
    end = 0
    for tensor in reader.tensors:
        values = dequantize(tensor.data, tensor.tensor_type).astype(np.float32)
        values = _unpermuted(tensor.name, values, config)
        blobs.append(_bfloat16(values))
        begin, end = end, end + len(blobs[-1])
        shape = {"dtype": "BF16", "shape": list(values.shape), "data_offsets": [begin, end]}
        header[_name(tensor.name)] = shape
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    path.write_bytes(b"".join([len(text).to_bytes(8, "little"), text, *blobs]))


def _unpermuted(
    name: str, values: npt.NDArray[np.float32], config: dict[str, Any]
) -> npt.NDArray[np.float32]:
    """GGUF has the rows of q and k in llama.cpp's order of rotated pairs."""
    kind = {"attn_q": "num_attention_heads", "attn_k": "num_key_value_heads"}
    heads = next((config[key] for part, key in kind.items() if part in name), 0)
    if not heads:
        return values
    pairs = values.reshape(heads, values.shape[0] // heads // 2, 2, *values.shape[1:])
    return pairs.swapaxes(1, 2).reshape(values.shape)


def _bfloat16(values: npt.NDArray[np.float32]) -> bytes:
    """The upper half of each float32, rounded to the nearest."""
    bits = values.view(np.uint32)
    return ((bits + 0x7FFF + ((bits >> 16) & 1)) >> 16).astype(np.uint16).tobytes()


_NAMES = {
    "attn_norm": "input_layernorm",
    "ffn_norm": "post_attention_layernorm",
    "attn_q": "self_attn.q_proj",
    "attn_k": "self_attn.k_proj",
    "attn_v": "self_attn.v_proj",
    "attn_output": "self_attn.o_proj",
    "ffn_gate": "mlp.gate_proj",
    "ffn_up": "mlp.up_proj",
    "ffn_down": "mlp.down_proj",
}


def _name(name: str) -> str:
    """The name of a tensor in Hugging Face's files."""
    if not name.startswith("blk."):
        top = {"token_embd.weight": "embed_tokens.weight", "output_norm.weight": "norm.weight"}
        return f"model.{top[name]}"
    _, layer, part, kind = name.split(".")
    return f"model.layers.{layer}.{_NAMES[part]}.{kind}"


def _write_json(path: Path, value: object) -> None:
    path.write_text(json.dumps(value), encoding="utf-8")
