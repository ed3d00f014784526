"""What the exports of the starter models share: JSON of the Hub, parts of a GGUF file."""

import json
from collections.abc import Collection
from pathlib import Path
from typing import Any

import gguf
import numpy as np


def read_json(path: Path) -> Any:
    return json.loads(path.read_text(encoding="utf-8"))


def write_json(path: Path, values: dict[str, Any] | list[Any]) -> None:
    path.write_text(json.dumps(values, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")


def name_tokenizer(path: Path, kind: str) -> None:
    """Name the tokenizer class that loaders other than transformers know as well."""
    settings = read_json(path)
    for private in ("backend", "is_local", "local_files_only"):
        settings.pop(private, None)
    write_json(path, settings | {"tokenizer_class": kind})


def add_facts(writer: gguf.GGUFWriter, name: str, description: str, size: str) -> None:
    """Say what the model is and under which licence."""
    writer.add_name(name)
    writer.add_description(description)
    writer.add_license("mit")
    writer.add_languages(["en", "ko"])
    writer.add_size_label(size)
    writer.add_file_type(gguf.LlamaFileType.MOSTLY_F16)


def add_shape(writer: gguf.GGUFWriter, config: dict[str, Any], context: int) -> None:
    """Say how the network is built, by the names of config.json."""
    writer.add_context_length(context)
    writer.add_embedding_length(config["hidden_size"])
    writer.add_feed_forward_length(config["intermediate_size"])
    writer.add_block_count(config["num_hidden_layers"])
    writer.add_head_count(config["num_attention_heads"])
    writer.add_head_count_kv(config["num_key_value_heads"])
    writer.add_layer_norm_rms_eps(config["rms_norm_eps"])


def add_tokenizer(
    writer: gguf.GGUFWriter, folder: Path, special: Collection[str], template: str
) -> None:
    """Add the vocabulary of a Hugging Face folder, and a chat template."""
    settings = read_json(folder / "tokenizer_config.json")
    tokens = add_vocabulary(writer, folder, special)
    writer.add_bos_token_id(tokens.index(settings["pad_token"]))
    writer.add_eos_token_id(tokens.index(settings["eos_token"]))
    writer.add_pad_token_id(tokens.index(settings["pad_token"]))
    writer.add_add_bos_token(False)
    writer.add_chat_template(template)


def add_vocabulary(writer: gguf.GGUFWriter, folder: Path, special: Collection[str]) -> list[str]:
    """Add the byte-level BPE of a Hugging Face folder; return its tokens in their order."""
    bpe = read_json(folder / "tokenizer.json")["model"]
    tokens = sorted(bpe["vocab"], key=bpe["vocab"].get)
    kinds = [
        gguf.TokenType.CONTROL if token in special else gguf.TokenType.NORMAL for token in tokens
    ]
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre("qwen2")
    writer.add_token_list(tokens)
    writer.add_token_types(kinds)
    writer.add_token_merges([" ".join(pair) for pair in bpe["merges"]])
    return tokens


def place(names: gguf.TensorNameMap, name: str) -> str:
    """Return llama.cpp's name of a tensor; raises ValueError where it has none."""
    found = names.get_name(name, try_suffixes=(".weight", ".bias"))
    if found is None:
        raise ValueError(f"llama.cpp has no place for the tensor {name}")
    return str(found)


def add_tensor(writer: gguf.GGUFWriter, name: str, values: np.ndarray) -> None:
    """Add a tensor; llama.cpp wants norms and biases in float32."""
    writer.add_tensor(
        name, np.ascontiguousarray(values.astype(np.float32) if values.ndim == 1 else values)
    )


def finish(writer: gguf.GGUFWriter) -> None:
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
