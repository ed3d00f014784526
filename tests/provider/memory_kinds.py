"""Tiny GGUF models with random weights whose memory is not that of a plain transformer."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path

import numpy as np
import numpy.typing as npt
from gguf import GGUFReader, GGUFValueType, GGUFWriter

from tests.provider.asking import STARTER

WIDTH, HEAD, FEED_FORWARD, STATE, RANK = 64, 32, 128, 16, 4
INNER = 2 * WIDTH
Shapes = Mapping[str, tuple[int, ...]]
Matrix = npt.NDArray[np.float64]
Facts = Mapping[str, int | Sequence[int]]


def _shapes(**shapes: tuple[int, ...]) -> dict[str, tuple[int, ...]]:
    """Shapes by the names of tensors; "__" stands for a dot."""
    return {name.replace("__", "."): shape for name, shape in shapes.items()}


_ATTENTION = _shapes(
    attn_q=(WIDTH, WIDTH), attn_k=(HEAD, WIDTH), attn_v=(HEAD, WIDTH),
    attn_output=(WIDTH, WIDTH), attn_q_norm=(HEAD,), attn_k_norm=(HEAD,),
)  # fmt: skip
_FEED_FORWARD = _shapes(
    ffn_gate=(FEED_FORWARD, WIDTH), ffn_up=(FEED_FORWARD, WIDTH), ffn_down=(WIDTH, FEED_FORWARD),
    ffn_norm=(WIDTH,),
)  # fmt: skip
_NORM = _shapes(attn_norm=(WIDTH,))
_CONVOLUTION = _shapes(
    shortconv__conv=(WIDTH, 3), shortconv__in_proj=(3 * WIDTH, WIDTH),
    shortconv__out_proj=(WIDTH, WIDTH),
)  # fmt: skip
_STATE_SPACE = _shapes(
    ssm_in=(2 * INNER, WIDTH), ssm_conv1d=(INNER, 4), ssm_dt=(INNER, RANK),
    ssm_x=(RANK + 2 * STATE, INNER), ssm_out=(WIDTH, INNER), ssm_conv1d__bias=(INNER,),
    ssm_dt__bias=(INNER,), ssm_a__=(INNER, STATE), ssm_d__=(INNER,),
)  # fmt: skip


def recurrent(path: Path) -> Path:
    """Mamba: a state for each sequence, no cells."""
    facts: Facts = {
        "ssm.conv_kernel": 4,
        "ssm.inner_size": INNER,
        "ssm.state_size": STATE,
        "ssm.time_step_rank": RANK,
        "attention.head_count": 0,
        "feed_forward_length": 0,
    }
    layer = _NORM | _STATE_SPACE
    return _write(path, "mamba", facts, [layer, layer], {"output_norm": (WIDTH,)})


def hybrid(path: Path) -> Path:
    """LFM2: states in two layers, cells in one."""
    facts: Facts = {"shortconv.l_cache": 3, "attention.head_count_kv": [0, 1, 0]}
    layers = [
        _NORM | _FEED_FORWARD | special for special in (_CONVOLUTION, _ATTENTION, _CONVOLUTION)
    ]
    return _write(path, "lfm2", facts, layers, {"token_embd_norm": (WIDTH,)})


def sliding_window(path: Path) -> Path:
    """Gemma 3: in five of six layers a token attends to the 32 before it."""
    facts: Facts = {
        "attention.sliding_window": 32,
        "attention.head_count_kv": 1,
        "attention.key_length": HEAD,
        "attention.value_length": HEAD,
    }
    after = _shapes(post_attention_norm=(WIDTH,), post_ffw_norm=(WIDTH,))
    layer = _NORM | _ATTENTION | _FEED_FORWARD | after
    return _write(path, "gemma3", facts, [layer] * 6, {"output_norm": (WIDTH,)})


def _write(
    path: Path, architecture: str, facts: Facts, layers: Sequence[Shapes], outside: Shapes
) -> Path:
    writer, chance = GGUFWriter(path, architecture), np.random.default_rng(0)
    shapes = {"token_embd": (_add_vocabulary(writer), WIDTH), **outside}
    for number, layer in enumerate(layers):
        shapes |= {f"blk.{number}.{name}": shape for name, shape in layer.items()}
    _add_facts(writer, {**_common(len(layers)), **facts})
    for name, shape in shapes.items():
        bare = name.endswith((".", ".bias"))
        tensor = _weights(name, shape, chance).astype(np.float32)
        writer.add_tensor(name.rstrip(".") if bare else f"{name}.weight", tensor)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path


def _weights(name: str, shape: tuple[int, ...], chance: np.random.Generator) -> Matrix:
    if name.endswith("norm"):
        return np.ones(shape)
    weights = 0.3 * chance.standard_normal(shape)
    return -np.abs(weights) if name.endswith("ssm_a.") else weights


def _common(layers: int) -> Facts:
    return {
        "attention.head_count": 2,
        "feed_forward_length": FEED_FORWARD,
        "context_length": 2048,
        "block_count": layers,
        "embedding_length": WIDTH,
    }


def _add_facts(writer: GGUFWriter, facts: Facts) -> None:
    for name, value in facts.items():
        key = f"{writer.arch}.{name}"
        if isinstance(value, int):
            writer.add_uint32(key, value)
        else:
            writer.add_array(key, value)
    writer.add_layer_norm_rms_eps(1e-5)
    writer.add_rope_freq_base(10_000.0)


@cache
def _starter() -> GGUFReader:
    return GGUFReader(STARTER)


def _add_vocabulary(writer: GGUFWriter) -> int:
    """Write the starter's tokenizer; returns how many tokens it has."""
    for field in _starter().fields.values():
        if field.name.startswith("tokenizer."):
            kinds = field.types
            sub = kinds[1] if kinds[0] == GGUFValueType.ARRAY else None
            writer.add_key_value(field.name, field.contents(), kinds[0], sub)
    return len(_starter().fields["tokenizer.ggml.tokens"].data)
