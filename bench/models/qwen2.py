"""A GGUF of Qwen2.5-0.5B's shape with random weights: as fast as the real one, and no download.

The vocabulary has a word for every pair of syllables (`` bata``, `` kelo``, …). Only those words
have an embedding of any size, and embeddings are tied to the output, so an answer is made of them
alone: it never ends by itself and its text tokenises back to the same tokens.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import islice, product
from pathlib import Path

import gguf
import numpy as np
import numpy.typing as npt

LAYERS, HIDDEN, HEADS, KV_HEADS, FFN, VOCAB = 24, 896, 14, 2, 4864, 151_936
HEAD = HIDDEN // HEADS
SPECIALS = ["<|endoftext|>", "<|im_start|>", "<|im_end|>"]
FIRST_SPECIAL = 151_643
SYLLABLES = ["".join(pair) for pair in product("bcdfghjklmnpqrstvwxz", "aeiou")]
WORDS = ["".join(pair) for pair in product(SYLLABLES, repeat=2)]
SPACE = "Ġ"
"""How byte-level vocabularies write a space."""
FIRST_WORD = 256 + len(SYLLABLES) + len(WORDS)
"""Id of the first word with its leading space."""
TEMPLATE = (
    "{% for message in messages %}<|im_start|>{{ message['role'] }}\n"
    "{{ message['content'] }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
BLOCK, BLOCK_BYTES = 32, 34
"""Weights in a Q8_0 block, and the bytes they take: a float16 scale and 32 int8."""
MATRIX_STD, WORD_STD, REST_STD = 0.02, 0.05, 1e-4

Shape = tuple[int, ...]
Bytes = npt.NDArray[np.uint8]


def ensure(path: Path) -> Path:
    """Write the model unless it is there already; a torn write leaves nothing behind."""
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        draft = path.with_suffix(".part")
        write(gguf.GGUFWriter(draft, "qwen2"), SPECIALS, TEMPLATE)
        draft.rename(path)
    return path


def write(writer: gguf.GGUFWriter, specials: Sequence[str], template: str) -> None:
    """Write a whole model with these control tokens and this chat template."""
    _add_architecture(writer)
    _add_tokenizer(writer, specials)
    writer.add_chat_template(template)
    for name, shape in tensors():
        if len(shape) == 2:
            size = shape[0] * shape[1] // BLOCK * BLOCK_BYTES
            kind = gguf.GGMLQuantizationType.Q8_0
            writer.add_tensor_info(name, shape, np.dtype(np.float16), size, kind)
        else:
            writer.add_tensor_info(name, shape, np.dtype(np.float32), shape[0] * 4)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_ti_data_to_file()
    _write_weights(writer)
    writer.close()


def _write_weights(writer: gguf.GGUFWriter) -> None:
    random = np.random.default_rng(0)
    for name, shape in tensors():
        if name == "token_embd.weight":
            writer.write_tensor_data(embeddings(random))
        elif len(shape) == 2:
            writer.write_tensor_data(q8_0(random, shape, MATRIX_STD))
        elif name.endswith("norm.weight"):
            writer.write_tensor_data(np.ones(shape, np.float32))
        else:
            writer.write_tensor_data(random.normal(0, MATRIX_STD, shape).astype(np.float32))


def q8_0(random: np.random.Generator, shape: Shape, std: float) -> Bytes:
    """Random weights of that standard deviation, as Q8_0 blocks."""
    blocks = np.empty((shape[0], shape[1] // BLOCK, BLOCK_BYTES), np.uint8)
    scale = np.array([std / 73.3], np.float16)  # 73.3: deviation of the integers -127 … 127
    blocks[..., :2] = scale.view(np.uint8)
    weights = random.integers(-127, 127, (*blocks.shape[:2], BLOCK), np.int8, endpoint=True)
    blocks[..., 2:] = weights.view(np.uint8)
    return blocks


def embeddings(random: np.random.Generator) -> Bytes:
    """Rows of the words; every other row is so small that its token is never the likeliest.

    None is zero: for Qwen2-VL llama.cpp reads no epsilon, and zeros divided by their norm are NaN.
    """
    rows = q8_0(random, (VOCAB, HIDDEN), REST_STD)
    last = FIRST_WORD + len(WORDS)
    rows[FIRST_WORD:last] = q8_0(random, (len(WORDS), HIDDEN), WORD_STD)
    return rows


def tensors() -> Iterator[tuple[str, Shape]]:
    """Name and shape of every tensor, in the order of the file."""
    yield "token_embd.weight", (VOCAB, HIDDEN)
    yield "output_norm.weight", (HIDDEN,)
    for layer in range(LAYERS):
        for name, shape in _layer():
            yield f"blk.{layer}.{name}", shape


def _layer() -> Iterator[tuple[str, Shape]]:
    kv = KV_HEADS * HEAD
    yield "attn_norm.weight", (HIDDEN,)
    for part, width in (("q", HIDDEN), ("k", kv), ("v", kv)):
        yield f"attn_{part}.weight", (width, HIDDEN)
        yield f"attn_{part}.bias", (width,)
    yield "attn_output.weight", (HIDDEN, HIDDEN)
    yield "ffn_norm.weight", (HIDDEN,)
    yield "ffn_gate.weight", (FFN, HIDDEN)
    yield "ffn_up.weight", (FFN, HIDDEN)
    yield "ffn_down.weight", (HIDDEN, FFN)


def _add_architecture(writer: gguf.GGUFWriter) -> None:
    writer.add_name("Random weights, shape of Qwen2.5-0.5B")
    writer.add_context_length(32_768)
    writer.add_embedding_length(HIDDEN)
    writer.add_block_count(LAYERS)
    writer.add_feed_forward_length(FFN)
    writer.add_head_count(HEADS)
    writer.add_head_count_kv(KV_HEADS)
    writer.add_rope_freq_base(1e6)
    writer.add_layer_norm_rms_eps(1e-6)
    writer.add_file_type(gguf.LlamaFileType.MOSTLY_Q8_0)
    writer.add_quantization_version(gguf.GGML_QUANT_VERSION)


def _add_tokenizer(writer: gguf.GGUFWriter, specials: Sequence[str]) -> None:
    tokens = vocabulary(specials)
    kinds = [gguf.TokenType.NORMAL] * VOCAB
    last = FIRST_SPECIAL + len(specials)
    kinds[FIRST_SPECIAL:last] = [gguf.TokenType.CONTROL] * len(specials)
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre("qwen2")
    writer.add_token_list(tokens)
    writer.add_token_types(kinds)
    writer.add_token_merges(merges())
    writer.add_bos_token_id(FIRST_SPECIAL)
    writer.add_add_bos_token(False)
    writer.add_eos_token_id(FIRST_SPECIAL + 2)
    writer.add_pad_token_id(FIRST_SPECIAL)


def vocabulary(specials: Sequence[str] = SPECIALS) -> list[str]:
    """All tokens by id: bytes, syllables, words, filler up to the real size, specials, filler."""
    tokens = [*_byte_letters(), *SYLLABLES, *WORDS, *(SPACE + word for word in WORDS)]
    longer = (SPACE + "".join(parts) for parts in product(SYLLABLES, repeat=3))
    tokens += islice(longer, FIRST_SPECIAL - len(tokens))
    tokens += specials
    return tokens + [f"<|unused_{number}|>" for number in range(VOCAB - len(tokens))]


def merges() -> list[str]:
    """The merges that lead from letters to words; the filler cannot be reached."""
    syllables = [f"{syllable[0]} {syllable[1]}" for syllable in SYLLABLES]
    words = [f"{word[:2]} {word[2:]}" for word in WORDS]
    return [*syllables, *words, *(f"{SPACE} {word}" for word in WORDS)]


def _byte_letters() -> list[str]:
    """The 256 letters that byte-level vocabularies write bytes with."""
    printable = {*range(33, 127), *range(161, 173), *range(174, 256)}
    shifted = iter(range(256, 512))
    return [chr(byte if byte in printable else next(shifted)) for byte in range(256)]
