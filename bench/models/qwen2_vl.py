"""Random weights in the shape of Qwen2.5-VL: ``bench.models.qwen2`` with a vision tower.

The vision tower has the proportions of the real one at half its width and half its depth: windows
of 112 pixels, and full attention in every fourth layer. A picture of 300
tokens takes it some 100 billion multiplications, the real one 800 billion.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import gguf
import numpy as np

from bench.models import qwen2

DEPTH, HIDDEN, HEADS, FFN = 16, 640, 8, 1710
WHOLE = 4
"""Every fourth layer attends to the whole picture."""
PATCH, MERGE, FRAMES, WINDOW = 14, 2, 2, 112
SIDE = PATCH * MERGE
MIN_PIXELS, MAX_PIXELS = 4 * SIDE**2, 1280 * SIDE**2
MEAN = (0.48145466, 0.4578275, 0.40821073)
DEVIATION = (0.26862954, 0.26130258, 0.27577711)
SECTIONS = (8, 12, 12)
"""Of a head's 32 pairs, those that turn with time, row and column."""
EPSILON = 1e-6

START, END, PAD, VIDEO = "<|vision_start|>", "<|vision_end|>", "<|image_pad|>", "<|video_pad|>"
SPECIALS = [*qwen2.SPECIALS, START, END, PAD, VIDEO]
TEMPLATE = (
    "{% for message in messages %}<|im_start|>{{ message['role'] }}\n"
    "{% if message['content'] is string %}{{ message['content'] }}"
    "{% else %}{% for part in message['content'] %}"
    "{% if part['type'] == 'text' %}{{ part['text'] }}"
    "{% else %}<|vision_start|><|image_pad|><|vision_end|>{% endif %}"
    "{% endfor %}{% endif %}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)


def ensure(path: Path) -> Path:
    """Write model and ``mmproj_of(path)`` unless they are there; a torn write leaves nothing."""
    for target, write in ((mmproj_of(path), _write_mmproj), (path, _write_text)):
        if not target.exists():
            target.parent.mkdir(parents=True, exist_ok=True)
            draft = target.with_suffix(".part")
            write(draft)
            draft.rename(target)
    return path


def mmproj_of(model: Path) -> Path:
    """The path of the ``mmproj`` file that belongs to a model file."""
    return model.with_name(f"mmproj-{model.name}")


def _write_text(path: Path) -> None:
    writer = gguf.GGUFWriter(path, "qwen2vl")
    writer.add_rope_dimension_sections([*SECTIONS, 0])
    qwen2.write(writer, SPECIALS, TEMPLATE)


def _write_mmproj(path: Path) -> None:
    writer = gguf.GGUFWriter(path, "clip")
    _add_facts(writer)
    random = np.random.default_rng(1)
    for name, shape in tensors():
        matrix = len(shape) > 1
        values = np.ones(shape) if "ln" in name else random.normal(0, qwen2.MATRIX_STD, shape)
        writer.add_tensor(name, values.astype(np.float16 if matrix else np.float32))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def tensors() -> Iterator[tuple[str, tuple[int, ...]]]:
    """Name and shape of every tensor of the vision tower."""
    for frame in ("", ".1"):
        yield f"v.patch_embd.weight{frame}", (HIDDEN, 3, PATCH, PATCH)
    yield "v.post_ln.weight", (HIDDEN,)
    merged = HIDDEN * MERGE**2
    for layer, width in ((0, merged), (2, qwen2.HIDDEN)):
        yield f"mm.{layer}.weight", (width, merged)
        yield f"mm.{layer}.bias", (width,)
    for layer in range(DEPTH):
        for name, shape in _layer():
            yield f"v.blk.{layer}.{name}", shape


def _layer() -> Iterator[tuple[str, tuple[int, ...]]]:
    yield "ln1.weight", (HIDDEN,)
    yield "ln2.weight", (HIDDEN,)
    square = [(f"attn_{part}", HIDDEN, HIDDEN) for part in ("q", "k", "v", "out")]
    outer = [("ffn_gate", FFN, HIDDEN), ("ffn_up", FFN, HIDDEN), ("ffn_down", HIDDEN, FFN)]
    for name, rows, columns in (*square, *outer):
        yield f"{name}.weight", (rows, columns)
        yield f"{name}.bias", (rows,)


def _add_facts(writer: gguf.GGUFWriter) -> None:
    writer.add_type(gguf.GGUFType.MMPROJ)
    writer.add_name("Random weights, proportions of Qwen2.5-VL")
    writer.add_file_type(gguf.LlamaFileType.MOSTLY_F16)
    writer.add_clip_has_vision_encoder(True)
    writer.add_clip_projector_type(gguf.VisionProjectorType.QWEN25VL)
    writer.add_vision_projection_dim(qwen2.HIDDEN)
    writer.add_vision_image_size(560)
    writer.add_vision_patch_size(PATCH)
    writer.add_vision_spatial_merge_size(MERGE)
    writer.add_vision_embedding_length(HIDDEN)
    writer.add_vision_feed_forward_length(FFN)
    writer.add_vision_block_count(DEPTH)
    writer.add_vision_head_count(HEADS)
    writer.add_vision_attention_layernorm_eps(EPSILON)
    writer.add_vision_image_mean(MEAN)
    writer.add_vision_image_std(DEVIATION)
    writer.add_vision_min_pixels(MIN_PIXELS)
    writer.add_vision_max_pixels(MAX_PIXELS)
    writer.add_vision_use_silu(True)
    writer.add_vision_n_wa_pattern(WHOLE)
