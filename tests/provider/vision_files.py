"""Writes small models with random weights that look at pictures: a GGUF and its mmproj file.

They say nothing sensible, but what they say depends on every token and every pixel.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import gguf
import numpy as np

from app.provider.formats.chat_templates import built_in

SPECIALS = (
    "<|endoftext|>",
    "<|im_start|>",
    "<|im_end|>",
    "<|vision_start|>",
    "<|vision_end|>",
    "<fake_token_around_image>",
    "<global-img>",
    "\n\n",
)
PATCH = 14
PRINTABLE = b"abcdefghijklmnop"
"""All that a model says: so few, that two are seldom almost equally likely; and it never ends."""

Array = np.ndarray[Any, np.dtype[np.float32]]


@dataclass(frozen=True)
class Shape:
    """Width, layers and the like of the half that reads and the half that looks."""

    hidden: int = 64
    layers: int = 2
    heads: int = 4
    kv_heads: int = 2
    inner: int = 128
    context: int = 4096
    vision_hidden: int = 32
    vision_layers: int = 2
    vision_heads: int = 2
    vision_inner: int = 64


SMALL = Shape()


def write_vision_model(
    folder: Path, shape: Shape = SMALL, *, most_pixels: int = 0, without: str = ""
) -> Path:
    """A Qwen2.5-VL: positions in three dimensions, pictures of any size.

    ``most_pixels`` of a picture are written down; the tensor ``without`` is left out.
    """
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "seeing.gguf"
    _write_text(path, shape, "qwen2vl")
    _write_qwen_mmproj(folder / "mmproj-seeing-f16.gguf", shape, most_pixels, without)
    return path


def write_plain(folder: Path, kind: str, shape: Shape = SMALL, image_size: int = 112) -> Path:
    """A Llama with an eye for squares, and one position per token.

    ``gemma3``: the vectors of a picture look at each other; ``idefics3``: large pictures are cut
    into tiles with text between them.
    """
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "plain.gguf"
    _write_text(path, shape, "llama")
    _write_square_mmproj(folder / "mmproj-plain-f16.gguf", shape, kind, image_size)
    return path


# ---------------------------------------------------------------- the half that reads


def _write_text(path: Path, shape: Shape, architecture: str) -> None:
    writer = gguf.GGUFWriter(path, architecture)
    writer.add_context_length(shape.context)
    writer.add_embedding_length(shape.hidden)
    writer.add_block_count(shape.layers)
    writer.add_feed_forward_length(shape.inner)
    writer.add_head_count(shape.heads)
    writer.add_head_count_kv(shape.kv_heads)
    writer.add_layer_norm_rms_eps(1e-5)
    writer.add_rope_freq_base(10000.0)
    half = shape.hidden // shape.heads // 2
    if architecture == "qwen2vl":
        rows = 3 * half // 8
        writer.add_rope_dimension_sections([half - 2 * rows, rows, rows, 0])
    _add_vocabulary(writer)
    dice = np.random.default_rng(1)
    for name, tensor in _text_tensors(dice, shape, bias=architecture == "qwen2vl"):
        writer.add_tensor(name, tensor)
    _close(writer)


def _add_vocabulary(writer: gguf.GGUFWriter) -> None:
    letters = _letters()
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre("qwen2")
    writer.add_token_list([*letters, *SPECIALS])
    normal, control = gguf.TokenType.NORMAL, gguf.TokenType.CONTROL
    writer.add_token_types([normal] * len(letters) + [control] * len(SPECIALS))
    writer.add_token_merges(["t h"])
    writer.add_eos_token_id(len(letters) + 2)
    writer.add_add_bos_token(False)
    writer.add_chat_template(built_in(["<|im_start|>", "<|im_end|>"]).source)


def _letters() -> list[str]:
    """GPT-2's letter for each byte, and one merge."""
    plain = [*range(33, 127), *range(161, 173), *range(174, 256)]
    others = iter(range(256, 512))
    return [chr(byte) if byte in plain else chr(next(others)) for byte in range(256)] + ["th"]


def _text_tensors(
    dice: np.random.Generator, shape: Shape, *, bias: bool
) -> Iterable[tuple[str, Array]]:
    size, width = 257 + len(SPECIALS), shape.hidden // shape.heads
    yield "token_embd.weight", _drawn(dice, size, shape.hidden, 1.0)
    output = _drawn(dice, size, shape.hidden, 1.0)
    output[[token for token in range(size) if token not in list(PRINTABLE)]] = 0
    yield "output.weight", output
    yield "output_norm.weight", np.ones(shape.hidden, np.float32)
    for layer in range(shape.layers):
        sizes = {
            "attn_q": (shape.heads * width, shape.hidden),
            "attn_k": (shape.kv_heads * width, shape.hidden),
            "attn_v": (shape.kv_heads * width, shape.hidden),
            "attn_output": (shape.hidden, shape.heads * width),
            "ffn_gate": (shape.inner, shape.hidden),
            "ffn_up": (shape.inner, shape.hidden),
            "ffn_down": (shape.hidden, shape.inner),
        }
        for name, (rows, columns) in sizes.items():
            yield f"blk.{layer}.{name}.weight", _drawn(dice, rows, columns)
            if bias and name in ("attn_q", "attn_k", "attn_v"):
                yield f"blk.{layer}.{name}.bias", _drawn(dice, 1, rows)[0]
        for name in ("attn_norm", "ffn_norm"):
            yield f"blk.{layer}.{name}.weight", np.ones(shape.hidden, np.float32)


# ---------------------------------------------------------------- the half that looks


def _write_qwen_mmproj(path: Path, shape: Shape, most_pixels: int, without: str) -> None:
    writer = _mmproj_writer(path, shape, "qwen2.5vl_merger", image_size=560)
    writer.add_bool("clip.use_silu", True)
    writer.add_uint32("clip.vision.n_wa_pattern", 2)
    if most_pixels:
        writer.add_uint32("clip.vision.image_max_pixels", most_pixels)
    dice, width, wide = np.random.default_rng(2), shape.vision_hidden, 4 * shape.vision_hidden
    for name in ("v.patch_embd.weight", "v.patch_embd.weight.1"):
        writer.add_tensor(name, _filters(dice, width))
    _add_layers(writer, dice, shape, gated=True)
    writer.add_tensor("v.post_ln.weight", np.ones(width, np.float32))
    for name, rows in (("mm.0", wide), ("mm.2", shape.hidden)):
        if f"{name}.weight" != without:
            writer.add_tensor(f"{name}.weight", _drawn(dice, rows, wide, 2.0))
        writer.add_tensor(f"{name}.bias", _drawn(dice, 1, rows)[0])
    _close(writer)


def _write_square_mmproj(path: Path, shape: Shape, kind: str, side: int) -> None:
    """Of each two by two patches one vector, unless a picture is to become more than 64."""
    writer = _mmproj_writer(path, shape, kind, side)
    writer.add_bool("clip.use_gelu", True)
    writer.add_uint32("clip.vision.projector.scale_factor", 2 if side == 112 else 1)
    if kind == "idefics3":
        writer.add_uint32("clip.vision.preproc_image_size", 2 * side)
    dice, width = np.random.default_rng(2), shape.vision_hidden
    writer.add_tensor("v.patch_embd.weight", _filters(dice, width))
    writer.add_tensor("v.patch_embd.bias", np.zeros(width, np.float32))
    writer.add_tensor("v.position_embd.weight", _drawn(dice, (side // PATCH) ** 2, width, 4.0))
    _add_layers(writer, dice, shape, gated=False)
    for name, value in (("weight", 1), ("bias", 0)):
        writer.add_tensor(f"v.post_ln.{name}", np.full(width, value, np.float32))
    if kind == "gemma3":
        writer.add_tensor("mm.input_projection.weight", _drawn(dice, width, shape.hidden, 8.0))
        writer.add_tensor("mm.soft_emb_norm.weight", np.ones(width, np.float32))
    else:
        writer.add_tensor("mm.model.fc.weight", _drawn(dice, shape.hidden, 4 * width, 8.0))
    _close(writer)


def _mmproj_writer(path: Path, shape: Shape, kind: str, image_size: int) -> gguf.GGUFWriter:
    writer = gguf.GGUFWriter(path, "clip")
    writer.add_bool("clip.has_vision_encoder", True)
    writer.add_string("clip.projector_type", kind)
    writer.add_uint32("clip.vision.image_size", image_size)
    writer.add_uint32("clip.vision.patch_size", PATCH)
    writer.add_uint32("clip.vision.embedding_length", shape.vision_hidden)
    writer.add_uint32("clip.vision.feed_forward_length", shape.vision_inner)
    writer.add_uint32("clip.vision.block_count", shape.vision_layers)
    writer.add_uint32("clip.vision.projection_dim", shape.hidden)
    writer.add_uint32("clip.vision.attention.head_count", shape.vision_heads)
    writer.add_float32("clip.vision.attention.layer_norm_epsilon", 1e-6)
    writer.add_array("clip.vision.image_mean", [0.5, 0.5, 0.5])
    writer.add_array("clip.vision.image_std", [0.5, 0.5, 0.5])
    return writer


def _add_layers(
    writer: gguf.GGUFWriter, dice: np.random.Generator, shape: Shape, *, gated: bool
) -> None:
    width, inner = shape.vision_hidden, shape.vision_inner
    sizes = dict.fromkeys(("attn_q", "attn_k", "attn_v", "attn_out"), (width, width))
    sizes |= {"ffn_up": (inner, width), "ffn_down": (width, inner)}
    sizes |= {"ffn_gate": (inner, width)} if gated else {}
    for layer in range(shape.vision_layers):
        for name, (rows, columns) in sizes.items():
            writer.add_tensor(f"v.blk.{layer}.{name}.weight", _drawn(dice, rows, columns))
            writer.add_tensor(f"v.blk.{layer}.{name}.bias", _drawn(dice, 1, rows)[0])
        for name in ("ln1", "ln2"):
            writer.add_tensor(f"v.blk.{layer}.{name}.weight", np.ones(width, np.float32))
            if not gated:
                writer.add_tensor(f"v.blk.{layer}.{name}.bias", np.zeros(width, np.float32))


def _filters(dice: np.random.Generator, width: int) -> Array:
    filters: Array = np.empty((width, 3, PATCH, PATCH), np.float32)
    filters.reshape((width, -1))[:] = _drawn(dice, width, 3 * PATCH * PATCH, 4.0)
    return filters


def _drawn(dice: np.random.Generator, rows: int, columns: int, scale: float = 1.0) -> Array:
    numbers = dice.standard_normal((rows, columns), np.float32)
    numbers *= scale / np.sqrt(columns)
    return numbers


def _close(writer: gguf.GGUFWriter) -> None:
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
