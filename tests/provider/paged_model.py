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
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from tests.provider.asking import STARTERS
from tests.provider.graph_files import FLOAT, INT32, INT64, GraphWriter

WORDS, WIDTH, PAGE = 3072, 16, 16
CONTEXT = 512
ENDS = (2, 0)

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


def _decoder(breaks_at: int) -> bytes:
    graph = GraphWriter()
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
    graph.constants(constants)
    _borders(graph)
    graph.nodes(_NODES)
    return graph.model("paged")


_NODES = f"""
cum;Cast;cumulative_sequence_lengths;to={INT64}
past;Cast;past_sequence_lengths;to={INT64}
table;Cast;block_table;to={INT64}
starts;Slice;cum at_0 last at_0
shape;Shape;input_ids
count;Squeeze;shape at_0
places;Range;zero count one
places_down;Unsqueeze;places at_1
begun;GreaterOrEqual;places_down starts
begun_numbers;Cast;begun;to={INT64}
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
lengths_float;Cast;lengths;to={FLOAT}
mean;Div;total lengths_float
state;Add;mean given
logits;MatMul;state next_words
"""


def _borders(graph: GraphWriter) -> None:
    graph.reads("input_ids", INT64, "tokens")
    graph.reads("cumulative_sequence_lengths", INT32, "rows_and_one")
    graph.reads("past_sequence_lengths", INT32, "rows")
    graph.reads("block_table", INT32, "rows", "columns")
    for which in ("key", "value"):
        graph.reads(f"past_key_values.0.{which}", FLOAT, "pages", PAGE, 1, WIDTH)
        graph.gives(f"present.0.{which}", FLOAT, "pages", PAGE, 1, WIDTH)
    graph.gives("logits", FLOAT, "tokens", WORDS)


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
