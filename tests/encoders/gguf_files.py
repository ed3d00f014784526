"""Writes encoders as GGUF files, as llama.cpp's converter does, with numpy and ``gguf`` alone."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import gguf
import numpy as np
from gguf import MODEL_ARCH, PoolingType, RopeScalingType
from numpy.typing import NDArray
from safetensors.numpy import load_file

from tests.encoders.gguf_tokenizers import add_tokenizer
from tests.encoders.hub_folder import HubFolder

_DROPPED = re.compile(r"pooler\.dense|position_ids|^lm_head")
YES, NO = "yes", "no"


def write_encoder(folder: Path, path: Path, *, half: bool = True, **changes: Any) -> Path:
    """Convert ``folder``. ``half``: weights are float16. ``changes`` are further keys.

    A change to None leaves the key out.
    """
    source = HubFolder(folder)
    writer = gguf.GGUFWriter(path, gguf.MODEL_ARCH_NAMES[source.architecture])
    _add_shape(writer, source)
    _add_kind(writer, source)
    add_tokenizer(writer, source)
    for key, value in changes.items():
        _change(writer, key.replace("__", "."), value)
    for name, tensor in _tensors(source):
        small = half and tensor.ndim == 2 and "norm" not in name and "token_types" not in name
        writer.add_tensor(name, np.ascontiguousarray(tensor, np.float16 if small else np.float32))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path


def _change(writer: gguf.GGUFWriter, key: str, value: Any) -> None:
    found = writer.kv_data[0]
    found.pop(key, None)
    if isinstance(value, bool):
        writer.add_bool(key, value)
    elif isinstance(value, int):
        writer.add_uint32(key, value)
    elif value is not None:
        writer.add_string(key, value)


# ------------------------------------------------------------------ what the model is


def _add_shape(writer: gguf.GGUFWriter, source: HubFolder) -> None:
    config = source.config
    positions = source.number("max_position_embeddings", "n_positions")
    writer.add_name(source.path.name)
    writer.add_context_length(positions - _offset(source))
    writer.add_embedding_length(source.number("hidden_size", "n_embd"))
    writer.add_block_count(source.number("num_hidden_layers", "n_layer"))
    writer.add_feed_forward_length(source.number("intermediate_size", "n_inner"))
    heads = source.number("num_attention_heads", "n_head")
    writer.add_head_count(heads)
    writer.add_head_count_kv(config.get("num_key_value_heads", heads))
    if width := config.get("head_dim"):
        writer.add_key_length(width)
        writer.add_value_length(width)
    if "rms_norm_eps" in config:
        writer.add_layer_norm_rms_eps(config["rms_norm_eps"])
    else:
        writer.add_layer_norm_eps(source.number("layer_norm_eps", "layer_norm_epsilon"))
    _add_positions(writer, source)


def _offset(source: HubFolder) -> int:
    """Positions of RoBERTa begin after the padding token."""
    roberta = source.config["model_type"] == "xlm-roberta"
    return int(source.config["pad_token_id"]) + 1 if roberta else 0


def _add_positions(writer: gguf.GGUFWriter, source: HubFolder) -> None:
    config = source.config
    theta = [config[name] for name in _THETA if name in config]
    if theta:
        writer.add_rope_freq_base(theta[0])
    if local := config.get("local_rope_theta", config.get("rope_local_base_freq")):
        writer.add_rope_freq_base_swa(local)
    if source.architecture == MODEL_ARCH.MODERN_BERT:
        writer.add_rope_scaling_type(RopeScalingType.NONE)
        writer.add_sliding_window(config["local_attention"])
        writer.add_sliding_window_pattern(config["global_attn_every_n_layers"])
        writer.add_vocab_size(config["vocab_size"])
    if source.architecture == MODEL_ARCH.GEMMA_EMBEDDING:
        writer.add_sliding_window(config["sliding_window"])
        local_layers = [kind == "sliding_attention" for kind in config["layer_types"]]
        writer.add_sliding_window_pattern(local_layers)


_THETA = ("rope_theta", "rotary_emb_base", "global_rope_theta")


def _add_kind(writer: gguf.GGUFWriter, source: HubFolder) -> None:
    causal = source.architecture == MODEL_ARCH.QWEN3
    if not causal:
        writer.add_causal_attention(False)
    if source.pooling is not None:
        writer.add_pooling_type(source.pooling)
    if source.ranks and causal:
        writer.add_pooling_type(PoolingType.RANK)
        writer.add_classifier_output_labels([YES, NO])
    elif source.ranks:
        writer.add_classifier_output_labels(["LABEL_0"])
    if source.architecture == MODEL_ARCH.GEMMA_EMBEDDING:
        for number in (2, 3):
            dense = source.json(f"{number}_Dense/config.json")
            sizes = dense["in_features"], dense["out_features"]
            writer.add_dense_features_dims(f"dense_{number}", *sizes)


# ------------------------------------------------------------------ weights


def _tensors(source: HubFolder) -> Iterator[tuple[str, NDArray[Any]]]:
    layers = source.number("num_hidden_layers", "n_layer")
    names = gguf.get_tensor_name_map(source.architecture, layers)
    for name, tensor in load_file(source.path / "model.safetensors").items():
        if not _DROPPED.search(name):
            yield _named(names, _plain(name, source)), _changed(name, tensor, source)
    for number in (2, 3):
        dense = source.path / f"{number}_Dense" / "model.safetensors"
        if dense.exists():
            yield f"dense_{number}.weight", load_file(dense)["linear.weight"]
    if source.ranks and source.architecture == MODEL_ARCH.QWEN3:
        yield "cls.output.weight", _yes_and_no(source)


def _plain(name: str, source: HubFolder) -> str:
    """The name without its model's, and that of a single classifier as llama.cpp knows it."""
    plain = re.sub(r"^(bert|roberta)\.", "", name)
    if source.architecture == MODEL_ARCH.MODERN_BERT:
        plain = plain.removeprefix("model.")
    if source.architecture in (MODEL_ARCH.GEMMA_EMBEDDING, MODEL_ARCH.QWEN3):
        plain = f"model.{plain.removeprefix('model.')}"
    return re.sub(r"^classifier\.(weight|bias)$", r"classifier.out_proj.\1", plain)


def _named(names: gguf.TensorNameMap, name: str) -> str:
    found = names.get_name(name, try_suffixes=(".weight", ".bias"))
    assert found, name
    return found


def _changed(name: str, tensor: NDArray[Any], source: HubFolder) -> NDArray[Any]:
    if name.endswith("position_embeddings.weight"):
        return tensor[_offset(source) :]
    if source.architecture == MODEL_ARCH.GEMMA_EMBEDDING and name.endswith("norm.weight"):
        return tensor + 1  # Gemma's layers add it, llama.cpp's do not
    return tensor


def _yes_and_no(source: HubFolder) -> NDArray[Any]:
    (embeddings,) = (
        tensor
        for name, tensor in load_file(source.path / "model.safetensors").items()
        if name.endswith("embed_tokens.weight")
    )
    vocabulary = source.tokenizer["model"]["vocab"]
    return np.stack([embeddings[vocabulary[YES]], embeddings[vocabulary[NO]]])
