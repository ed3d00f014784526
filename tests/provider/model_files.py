"""Writes small model files of every format, as other programs do."""

from __future__ import annotations

import json
import math
import shutil
import struct
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import gguf
import numpy as np

STARTER_HF = Path(__file__).parents[2] / "models" / "starter-hf"

Shape = tuple[int, ...]
_BYTES = {"F32": 4, "F16": 2, "BF16": 2, "U32": 4, "I32": 4, "U8": 1}

CONFIG = {
    "architectures": ["LlamaForCausalLM"],
    "model_type": "llama",
    "hidden_size": 64,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "vocab_size": 100,
    "max_position_embeddings": 2048,
}

GENAI = {
    "model": {
        "type": "llama",
        "context_length": 2048,
        "vocab_size": 100,
        "decoder": {
            "filename": "model.onnx",
            "head_size": 16,
            "hidden_size": 64,
            "num_attention_heads": 4,
            "num_hidden_layers": 2,
            "num_key_value_heads": 2,
            "inputs": {
                "input_ids": "input_ids",
                "past_key_names": "past.%d.key",
                "past_value_names": "past.%d.value",
            },
            "outputs": {
                "logits": "logits",
                "present_key_names": "present.%d.key",
                "present_value_names": "present.%d.value",
            },
        },
    }
}


def write_gguf(path: Path, architecture: str = "llama", tensors: int = 1, **facts: Any) -> Path:
    """A GGUF file with metadata of every kind; ``facts`` with underscores for dots."""
    path.parent.mkdir(parents=True, exist_ok=True)
    writer = gguf.GGUFWriter(path, architecture)
    writer.add_name("A model")
    writer.add_license("mit")
    writer.add_context_length(1234)
    writer.add_file_type(gguf.LlamaFileType.MOSTLY_Q8_0)
    writer.add_tokenizer_model("gpt2")
    writer.add_token_list(["a", "b", "안녕"])
    writer.add_token_scores([0.5, 0.25, 0.125])
    writer.add_bool("general.flag", True)
    writer.add_float64("general.double", 0.5)
    for key, value in facts.items():
        _add(writer, key.replace("__", "."), value)
    for index in range(tensors):
        writer.add_tensor(f"blk.{index}.weight", np.zeros((64, 64), np.float32))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path


def _add(writer: gguf.GGUFWriter, key: str, value: Any) -> None:
    if isinstance(value, list):
        writer.add_array(key, value)
    elif isinstance(value, str):
        writer.add_string(key, value)
    else:
        writer.add_uint32(key, value)


def write_safetensors(
    path: Path, tensors: Mapping[str, tuple[str, Shape]], **metadata: str
) -> Path:
    """A file of zeros."""
    header: dict[str, Any] = {"__metadata__": metadata} if metadata else {}
    end = 0
    for name, (kind, shape) in tensors.items():
        start, end = end, end + _BYTES[kind] * math.prod(shape)
        header[name] = {"dtype": kind, "shape": shape, "data_offsets": [start, end]}
    encoded = json.dumps(header).encode()
    path.write_bytes(struct.pack("<Q", len(encoded)) + encoded + bytes(end))
    return path


def write_hf(folder: Path, config: Mapping[str, Any] | None = None, **changes: Any) -> Path:
    """A folder as transformers saves it, with 100 by 64 weights in half precision."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "config.json").write_text(json.dumps({**(config or CONFIG), **changes}))
    (folder / "tokenizer.json").write_text("{}")
    write_safetensors(folder / "model.safetensors", {"embed.weight": ("F16", (100, 64))})
    return folder


def write_mlx(folder: Path) -> Path:
    """A folder as mlx-lm quantises it: 384 weights of 4 bits, one layer in groups of 32."""
    quantization = {"group_size": 64, "bits": 4, "mode": "affine", "b": {"group_size": 32}}
    write_hf(folder, quantization=quantization, quantization_config=quantization)
    packed = {
        "a.weight": ("U32", (2, 16)),
        "a.scales": ("F16", (2, 2)),
        "a.biases": ("F16", (2, 2)),
        "b.weight": ("U32", (1, 16)),
        "b.scales": ("F16", (1, 4)),
        "b.biases": ("F16", (1, 4)),
        "norm.weight": ("F16", (7,)),
    }
    write_safetensors(folder / "model.safetensors", packed, format="mlx")
    return folder


def write_starter(folder: Path) -> Path:
    """A copy of the starter model as Hugging Face files."""
    return Path(shutil.copytree(STARTER_HF, folder))


def message(*fields: tuple[int, int | bytes | str]) -> bytes:
    """A protocol buffer of integers and texts."""
    return b"".join(_field(number, value) for number, value in fields)


def _field(number: int, value: int | bytes | str) -> bytes:
    if isinstance(value, int):
        return _varint(number << 3) + _varint(value)
    content = value.encode() if isinstance(value, str) else value
    return _varint(number << 3 | 2) + _varint(len(content)) + content


def _varint(value: int) -> bytes:
    encoded = bytearray()
    while value >= 0x80:
        encoded.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*encoded, value])


def tensor(name: str, kind: int, shape: Shape, offset: int, length: int) -> tuple[int, bytes]:
    """A TensorProto whose bytes lie in ``model.onnx.data``."""
    place = {"location": "model.onnx.data", "offset": str(offset), "length": str(length)}
    external = [(13, message((1, key), (2, value))) for key, value in place.items()]
    return 5, message((1, message_of(shape)), (2, kind), (8, name), *external)


def message_of(numbers: Shape) -> bytes:
    """Packed integers."""
    return b"".join(_varint(number) for number in numbers)


def write_onnx(folder: Path, **model: Any) -> Path:
    """A folder as onnxruntime-genai builds it, with 64 by 32 weights of 4 bits and 32 more."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "genai_config.json").write_text(json.dumps({"model": GENAI["model"] | model}))
    (folder / "tokenizer.json").write_text("{}")
    attributes = [(5, message((1, key), (3, n))) for key, n in (("K", 32), ("N", 64), ("bits", 4))]
    inputs = [(1, name) for name in ("x", "linear_Q4", "linear_scales")]
    graph = message(
        (1, message(*inputs, (2, "y"), (4, "MatMulNBits"), *attributes)),
        (1, message((1, "y"), (4, "Add"))),
        tensor("linear_Q4", 2, (64, 1, 16), 0, 1024),
        tensor("linear_scales", 1, (64, 1), 1024, 256),
        tensor("cos_cache", 1, (2048, 8), 1280, 65536),
        tensor("norm", 10, (32,), 66816, 64),
    )
    (folder / "model.onnx").write_bytes(message((1, 9), (7, graph), (8, message((2, 21)))))
    (folder / "model.onnx.data").write_bytes(bytes(66880))
    return folder
