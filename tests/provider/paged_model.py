"""Writes a model with paged keys and values that runs on a CPU.

The operator of real exports, PagedAttention, exists for GPUs only. This graph stands in for it:
it writes what it is given into the pages that the library assigned, and a token pays the same
attention to every token before it, read back through the page table. So an answer depends on the
whole conversation, and ``likeliest`` says without any pages what it must be.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from tests.provider.asking import STARTERS
from tests.provider.model_files import message

WORDS, WIDTH, PAGE = 3072, 16, 16
CONTEXT = 512
ENDS = (2, 0)
_FLOAT, _INT32, _INT64 = 1, 6, 7
_KINDS = {"f": _FLOAT, "i": _INT64}

Numbers = npt.NDArray[Any]


@cache
def _weights() -> tuple[Numbers, Numbers]:
    """What a word is, and what follows it."""
    dice = np.random.default_rng(20)
    words, next_words = dice.standard_normal((2, WORDS, WIDTH)).astype(np.float32)
    next_words[ENDS[0]] *= 1.4  # so that an answer ends now and then
    return words, np.ascontiguousarray(next_words.T)


def likeliest(prompt: Sequence[int], count: int) -> list[int]:
    """The ``count`` tokens that follow the prompt at temperature 0, or fewer before an end."""
    words, next_words = _weights()
    tokens = list(prompt)
    for _ in range(count):
        seen = words[tokens].mean(axis=0, dtype=np.float64) + words[tokens[-1]]
        tokens.append(int((seen @ next_words).argmax()))
        if tokens[-1] in ENDS:
            return tokens[len(prompt) : -1]
    return tokens[len(prompt) :]


@dataclass
class _Graph:
    """A GraphProto being written."""

    parts: list[tuple[int, bytes]] = field(default_factory=list)

    def node(self, operator: str, inputs: str, output: str, **numbers: int) -> None:
        names = [(1, name) for name in inputs.split()]
        facts = [(5, message((1, key), (3, n), (20, 2))) for key, n in numbers.items()]
        self.parts.append((1, message(*names, (2, output), (4, operator), *facts)))

    def constant(self, name: str, values: Any) -> None:
        array = np.asarray(values)
        sizes = [(1, size) for size in array.shape]
        kind = _KINDS[array.dtype.kind]
        self.parts.append((5, message(*sizes, (2, kind), (8, name), (9, array.tobytes()))))

    def border(self, place: int, name: str, kind: int, *shape: str | int) -> None:
        """An input (place 11) or an output (place 12)."""
        sizes = [(1, message((1 if isinstance(n, int) else 2, n))) for n in shape]
        tensor = message((1, kind), (2, message(*sizes)))
        self.parts.append((place, message((1, name), (2, message((1, tensor))))))


def _decoder(breaks_at: int) -> bytes:
    graph = _Graph()
    words, next_words = _weights()
    constants: dict[str, Any] = {
        "words": words,
        "next_words": next_words,
        "zero": np.int64(0),
        "one": np.int64(1),
        "page": np.int64(PAGE),
        "at_0": np.array([0]),
        "at_1": np.array([1]),
        "at_2": np.array([2]),
        "last": np.array([-1]),
        "in_page": np.arange(PAGE),
        "row_of_slots": np.array([0, -1]),
        "slots_wide": np.array([-1, WIDTH]),
        "pages_wide": np.array([-1, PAGE, 1, WIDTH]),
        "nothing": np.float32(0),
        "corrections": np.zeros(breaks_at, np.int64),
    }
    for name, values in constants.items():
        graph.constant(name, values)
    _borders(graph)
    for line in _NODES.strip().splitlines():
        output, operator, inputs, *numbers = line.split(";")
        facts = {key: int(n) for key, _, n in (pair.partition("=") for pair in numbers)}
        graph.node(operator, inputs, output, **facts)
    opset = (8, message((1, ""), (2, 17)))
    return message((1, 8), (7, message(*graph.parts, (2, "paged"))), opset)


_NODES = f"""
cum;Cast;cumulative_sequence_lengths;to={_INT64}
past;Cast;past_sequence_lengths;to={_INT64}
table;Cast;block_table;to={_INT64}
starts;Slice;cum at_0 last at_0
shape;Shape;input_ids
count;Squeeze;shape at_0
places;Range;zero count one
places_down;Unsqueeze;places at_1
begun;GreaterOrEqual;places_down starts
begun_numbers;Cast;begun;to={_INT64}
rows_begun;ReduceSum;begun_numbers at_1;keepdims=0
rows;Sub;rows_begun one
row_starts;Gather;cum rows
row_pasts;Gather;past rows
in_row;Sub;places row_starts
uncorrected;Add;in_row row_pasts
corrections_here;Gather;corrections uncorrected
positions;Add;uncorrected corrections_here
row_pages;Gather;table rows
row_firsts;Mul;row_pages page
firsts_deep;Unsqueeze;row_firsts at_2
slots_deep;Add;firsts_deep in_page
slots;Reshape;slots_deep row_of_slots
positions_down;Unsqueeze;positions at_1
own_slots;GatherElements;slots positions_down;axis=1
given;Gather;words input_ids
flat_keys;Reshape;past_key_values.0.key slots_wide
flat_values;Reshape;past_key_values.0.value slots_wide
new_keys;ScatterND;flat_keys own_slots given
new_values;ScatterND;flat_values own_slots given
present.0.key;Reshape;new_keys pages_wide
present.0.value;Reshape;new_values pages_wide
seen;Gather;new_values slots
slots_shape;Shape;slots
width;Gather;slots_shape one
columns;Range;zero width one
written;LessOrEqual;columns positions_down
written_deep;Unsqueeze;written at_2
known;Where;written_deep seen nothing
total;ReduceSum;known at_1;keepdims=0
lengths;Add;positions_down one
lengths_float;Cast;lengths;to={_FLOAT}
mean;Div;total lengths_float
state;Add;mean given
logits;MatMul;state next_words
"""
"""output;operator;inputs;attributes"""


def _borders(graph: _Graph) -> None:
    graph.border(11, "input_ids", _INT64, "tokens")
    graph.border(11, "cumulative_sequence_lengths", _INT32, "rows_and_one")
    graph.border(11, "past_sequence_lengths", _INT32, "rows")
    graph.border(11, "block_table", _INT32, "rows", "columns")
    for which in ("key", "value"):
        graph.border(11, f"past_key_values.0.{which}", _FLOAT, "pages", PAGE, 1, WIDTH)
        graph.border(12, f"present.0.{which}", _FLOAT, "pages", PAGE, 1, WIDTH)
    graph.border(12, "logits", _FLOAT, "tokens", WORDS)


def write_paged(folder: Path, breaks_at: int = CONTEXT, **batching: Any) -> Path:
    """A folder as the model builder makes it with use_paged_attention, with the starter's words.

    The graph fails where a sequence has more than ``breaks_at`` tokens.
    """
    folder.mkdir(parents=True)
    for name in ("tokenizer.json", "tokenizer_config.json"):
        shutil.copy(STARTERS["onnx"] / name, folder)
    (folder / "model.onnx").write_bytes(_decoder(breaks_at))
    names = ("input_ids", "cumulative_sequence_lengths", "past_sequence_lengths", "block_table")
    decoder = {
        "session_options": {"provider_options": []},
        "filename": "model.onnx",
        "num_attention_heads": 1,
        "num_key_value_heads": 1,
        "num_hidden_layers": 1,
        "head_size": WIDTH,
        "hidden_size": WIDTH,
        "inputs": {name: name for name in names}
        | {f"past_{which}_names": f"past_key_values.%d.{which}" for which in ("key", "value")},
        "outputs": {"logits": "logits"}
        | {f"present_{which}_names": f"present.%d.{which}" for which in ("key", "value")},
    }
    model = {
        "type": "decoder",
        "bos_token_id": 1,
        "eos_token_id": list(ENDS),
        "pad_token_id": 0,
        "vocab_size": WORDS,
        "context_length": CONTEXT,
        "decoder": decoder,
    }
    config = {
        "model": model,
        "search": {"max_length": CONTEXT, "do_sample": False},
        "engine": {"dynamic_batching": {"block_size": PAGE, "num_blocks": 128} | batching},
    }
    (folder / "genai_config.json").write_text(json.dumps(config))
    return folder
