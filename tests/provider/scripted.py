"""A small GGUF that says what a test wants: its weights make one token follow another.

Its vocabulary is every byte, then the tokens that a test names. Each token's vector is its own
axis, attention and feed-forward add nothing, and the output matrix gives the token that follows:
after ``last`` (what the template ends with) come the tokens of ``script``, then the end.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from pathlib import Path

import gguf
import numpy as np
import numpy.typing as npt

CONTROL = ("<|im_start|>", "<|im_end|>", "<s>", "</s>")
"""Control tokens for ``make(control=…)``."""

CHATML = (
    "{% for m in messages %}<|im_start|>{{ m['role'] }}\n{{ m['content'] }}<|im_end|>\n"
    "{% endfor %}{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)

NORMAL_TYPE, CONTROL_TYPE, USER_TYPE, UNUSED_TYPE = 1, 3, 4, 5
FEED_FORWARD = 32

Value = bool | int | str | Sequence[int] | Sequence[str]
Matrix = npt.NDArray[np.float32]


def make(  # noqa: PLR0917 — the facts of a file, mostly named
    path: Path | str,
    template: str | None = None,
    script: Sequence[str] = (),
    control: Sequence[str] = (),
    user: Sequence[str] = (),
    eos: str | None = None,
    bos: str | None = None,
    kv: Mapping[str, Value] | None = None,
    last: str = "\n",
    arch: str = "llama",
    ctx: int = 2048,
    normal: Sequence[str] = (),
) -> Path:
    """Write the file and return its path.

    A token of ``script``, ``last``, ``eos`` and ``bos`` is one ASCII character or the spelling of
    one that ``normal``, ``control`` or ``user`` add. Without ``eos`` the end is token 0 (``!`` is
    33, so that is a byte that no text has) and the file names none. ``kv`` adds to the metadata,
    or overwrites what is there, but for the tokeniser's lists.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    tokens, types = _vocabulary(normal, control, user)
    follows = [_token(tokens, spelling) for spelling in [last, *script]]
    end = _token(tokens, eos) if eos else 0
    writer = gguf.GGUFWriter(path, arch)
    facts: dict[str, Value] = _shape(arch, len(tokens), ctx)
    if eos:
        facts["tokenizer.ggml.eos_token_id"] = end
    if bos:
        facts["tokenizer.ggml.bos_token_id"] = _token(tokens, bos)
    if template is not None:
        facts["tokenizer.chat_template"] = template
    for key, value in {**facts, **(kv or {})}.items():
        _add(writer, key, value)
    _add_tokenizer(writer, tokens, types)
    _add_tensors(writer, _output(len(tokens), follows, end))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path


def _vocabulary(
    normal: Sequence[str], control: Sequence[str], user: Sequence[str]
) -> tuple[list[str], list[int]]:
    """The 256 bytes, then what was named, up to a multiple of 32; and the type of each."""
    letters = _letters()
    tokens = [*(letters[byte] for byte in range(256)), *normal, *control, *user, "qz"]
    types = [NORMAL_TYPE] * (256 + len(normal)) + [CONTROL_TYPE] * len(control)
    types += [USER_TYPE] * len(user) + [NORMAL_TYPE]
    while len(tokens) % 32:
        tokens.append(f"<pad{len(tokens)}>")
        types.append(UNUSED_TYPE)
    return tokens, types


def _letters() -> dict[int, str]:
    """The character that stands for each byte in the vocabulary of GPT-2."""
    plain = [*range(33, 127), *range(161, 173), *range(174, 256)]
    others = [byte for byte in range(256) if byte not in plain]
    return {
        **{byte: chr(byte) for byte in plain},
        **{byte: chr(256 + number) for number, byte in enumerate(others)},
    }


def _token(tokens: Sequence[str], spelling: str) -> int:
    return ord(spelling) if len(spelling) == 1 else tokens.index(spelling)


def _shape(arch: str, width: int, ctx: int) -> dict[str, Value]:
    """One layer, as wide as the vocabulary is long."""
    return {
        f"{arch}.context_length": ctx,
        f"{arch}.embedding_length": width,
        f"{arch}.block_count": 1,
        f"{arch}.feed_forward_length": FEED_FORWARD,
        f"{arch}.attention.head_count": 4,
        f"{arch}.attention.head_count_kv": 4,
        f"{arch}.rope.dimension_count": width // 4,
        f"{arch}.vocab_size": width,
        "general.file_type": 0,
    }


def _add(writer: gguf.GGUFWriter, key: str, value: Value) -> None:
    if isinstance(value, bool):
        writer.add_bool(key, value)
    elif isinstance(value, int):
        _add_integer(writer, key, value)
    elif isinstance(value, str):
        writer.add_string(key, value)
    else:
        writer.add_array(key, list(value))


def _add_integer(writer: gguf.GGUFWriter, key: str, value: int) -> None:
    if value < 0:
        writer.add_int32(key, value)
    elif value < 2**32:
        writer.add_uint32(key, value)
    else:
        writer.add_uint64(key, value)


def _add_tokenizer(writer: gguf.GGUFWriter, tokens: Sequence[str], types: Sequence[int]) -> None:
    writer.add_layer_norm_rms_eps(1e-5)
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre("gpt-2")
    writer.add_token_list(tokens)
    writer.add_token_types(types)
    writer.add_token_merges(["q z"])


def _output(width: int, follows: Sequence[int], end: int) -> Matrix:
    """The matrix that gives after each token of ``follows`` the next one, after others the end."""
    output = np.zeros((width, width), np.float32)
    for token, following in itertools.pairwise(follows):
        output[following, token] = 1.0
    for token in range(width):
        if not output[:, token].any():
            output[end, token] = 1.0
    return output


def _add_tensors(writer: gguf.GGUFWriter, output: Matrix) -> None:
    width = len(output)
    ones, square = np.ones(width, np.float32), np.zeros((width, width), np.float32)
    writer.add_tensor("token_embd.weight", np.eye(width, dtype=np.float32))
    writer.add_tensor("output_norm.weight", ones)
    writer.add_tensor("output.weight", output)
    for name in ("attn_norm", "ffn_norm"):
        writer.add_tensor(f"blk.0.{name}.weight", ones)
    for name in ("attn_q", "attn_k", "attn_v", "attn_output"):
        writer.add_tensor(f"blk.0.{name}.weight", square)
    narrow = np.zeros((FEED_FORWARD, width), np.float32)
    writer.add_tensor("blk.0.ffn_gate.weight", narrow)
    writer.add_tensor("blk.0.ffn_up.weight", narrow)
    writer.add_tensor("blk.0.ffn_down.weight", narrow.T.copy())
