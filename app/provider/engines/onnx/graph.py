"""Runs the graph in onnxruntime: one token for all answers, or a chunk of one prompt.

Keys and values live in a ``KvArena``, whose tensors are bound as past and as present. So
GroupQueryAttention writes in place, and rows of different lengths go into one call.
"""

from __future__ import annotations

from collections.abc import Set
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import onnxruntime as ort

from app.provider.engines.onnx.kv_arena import STEP, KvArena
from app.provider.engines.onnx.providers import NAMES
from app.provider.engines.onnx.settings import Settings
from app.provider.errors import ModelNotLoadable

_TYPES: dict[str, type[np.generic]] = {
    "tensor(float)": np.float32,
    "tensor(float16)": np.float16,
}
WORTH_A_THREAD = 16 * 2**20
"""Bytes of weights for which one more thread pays."""


class Graph:
    """An onnxruntime session of a decoder whose attention is GroupQueryAttention.

    Raises ModelNotLoadable for any other graph.
    """

    def __init__(self, settings: Settings, provider: str, threads: int) -> None:
        self._settings = settings
        self._session = _open(settings.graph, provider, _useful_threads(settings.graph, threads))
        inputs = {one.name: one for one in self._session.get_inputs()}
        outputs = {one.name: one for one in self._session.get_outputs()}
        layers = range(settings.layers)
        self._past = [name % layer for layer in layers for name in settings.past]
        self._present = [name % layer for layer in layers for name in settings.present]
        self._check(inputs.keys(), outputs.keys())
        self.kv_type = _number_type(inputs[self._past[0]])
        self.logits_type = _number_type(outputs[settings.logits])
        self.vocabulary_size = int(outputs[settings.logits].shape[-1])
        self.takes_positions = settings.position_ids in inputs
        self.shapes = [self._shape(inputs[name]) for name in self._past]

    @property
    def cell_bytes(self) -> int:
        """Bytes of the keys and values of one token."""
        return sum(heads * width for heads, width in self.shapes) * self.kv_type.itemsize

    def _shape(self, past: ort.NodeArg) -> tuple[int, int]:
        """Heads and width of a past tensor; the graph may leave them to the settings."""
        _, heads, _, width = past.shape
        return (
            heads if isinstance(heads, int) else self._settings.kv_heads,
            width if isinstance(width, int) else self._settings.head_width,
        )

    def _check(self, inputs: Set[str], outputs: Set[str]) -> None:
        """Raise ModelNotLoadable unless the graph has exactly the inputs and outputs bound here."""
        names = self._settings
        needed = {names.input_ids, names.attention_mask, *self._past}
        gives = {names.logits, *self._present}
        odd = (needed ^ (inputs - {names.position_ids})) | (gives - outputs)
        if odd:
            few = ", ".join(sorted(odd)[:3])
            raise ModelNotLoadable(
                "This graph cannot be batched: it has not the inputs and outputs of a decoder "
                f"with GroupQueryAttention ({few})."
            )

    def binding(self) -> ort.IOBinding:
        """Make an empty binding."""
        return self._session.io_binding()

    def bind_rows(self, binding: ort.IOBinding, arena: KvArena, first: int, count: int) -> None:
        """Bind ``count`` rows of the arena, from ``first`` on, as past and as present."""
        for past, present, tensor in zip(self._past, self._present, arena.tensors, strict=True):
            rows = tensor[first : first + count]
            memory = ("cpu", 0, self.kv_type.type, rows.shape, rows.ctypes.data)
            binding.bind_input(past, *memory)
            binding.bind_output(present, *memory)

    def bind_input(self, binding: ort.IOBinding, name: str, values: npt.NDArray[Any]) -> None:
        """Bind an input to an array, which must outlive the binding."""
        binding.bind_input(name, "cpu", 0, values.dtype.type, values.shape, values.ctypes.data)

    def run(self, binding: ort.IOBinding, options: ort.RunOptions | None = None) -> None:
        """Compute. After an error keys and values may be wrong, so it ends the process."""
        self._session.run_with_iobinding(binding, options)


class DecodeRunner:
    """Computes one token for each of the first rows of the arena."""

    def __init__(self, graph: Graph, settings: Settings, arena: KvArena) -> None:
        rows = len(arena.written)
        self._graph, self._settings, self._arena = graph, settings, arena
        self._tokens = np.zeros((rows, 1), np.int64)
        self._positions = np.zeros((rows, 1), np.int64)
        self._logits = np.zeros((rows, 1, graph.vocabulary_size), graph.logits_type)
        self._mask = np.zeros((rows, STEP), np.int64)
        self._bindings: dict[int, ort.IOBinding] = {}
        self._binding = graph.binding()
        self._count = self._width = self._longest = 0
        self._lengths = np.zeros(0, np.int64)
        self._row_numbers = np.arange(rows)

    def arrange(self, lengths: list[int]) -> None:
        """Prepare steps of the first rows, which hold so many tokens."""
        count = len(lengths)
        self._lengths = np.array(lengths, np.int64)
        self._longest = max(lengths)
        self._count, self._width = count, 0
        if count not in self._bindings:
            self._bindings[count] = self._bind(count)
        self._binding = self._bindings[count]
        self._at = self._row_numbers[:count]
        self._out = self._logits[:count, 0]
        self._in = self._tokens[:count, 0]

    def step(self, tokens: list[int]) -> npt.NDArray[Any]:
        """Compute a token for each row; the logits ``[rows, vocabulary]`` are valid until next."""
        self._in[:] = tokens
        if self._longest >= self._width:
            self._widen(self._longest + 1)
        else:
            self._mask[self._at, self._lengths] = 1
        if self._graph.takes_positions:
            self._positions[: self._count, 0] = self._lengths
        self._graph.run(self._binding)
        self._lengths += 1
        self._longest += 1
        return self._out

    def _widen(self, longest: int) -> None:
        """Make a mask for rows of that length that includes the next token of each."""
        width = -(-longest // STEP) * STEP
        self._mask = (np.arange(width) <= self._lengths[:, None]).astype(np.int64)
        self._width = width
        self._graph.bind_input(self._binding, self._settings.attention_mask, self._mask)

    def _bind(self, count: int) -> ort.IOBinding:
        names, binding = self._settings, self._graph.binding()
        self._graph.bind_input(binding, names.input_ids, self._tokens[:count])
        if self._graph.takes_positions:
            self._graph.bind_input(binding, names.position_ids, self._positions[:count])
        out = self._logits[:count]
        binding.bind_output(names.logits, "cpu", 0, out.dtype.type, out.shape, out.ctypes.data)
        self._graph.bind_rows(binding, self._arena, 0, count)
        return binding


class PrefillRunner:
    """Computes a chunk of a prompt in one row: keys and values only, no logits."""

    def __init__(self, graph: Graph, settings: Settings, arena: KvArena) -> None:
        self._graph, self._settings, self._arena = graph, settings, arena
        self._bindings: dict[int, ort.IOBinding] = {}
        self._options = ort.RunOptions()
        self._options.only_execute_path_to_fetches = True

    def run(self, row: int, past: int, tokens: npt.NDArray[np.int64]) -> None:
        """Append ``tokens`` to a row that holds ``past`` tokens."""
        binding = self._bindings.get(row)
        if binding is None:
            binding = self._bindings[row] = self._graph.binding()
            self._graph.bind_rows(binding, self._arena, row, 1)
        end, names = past + len(tokens), self._settings
        mask = np.ones((1, end), np.int64)
        ids = tokens[None]
        positions = np.arange(past, end)[None]
        self._graph.bind_input(binding, names.input_ids, ids)
        self._graph.bind_input(binding, names.attention_mask, mask)
        if self._graph.takes_positions:
            self._graph.bind_input(binding, names.position_ids, positions)
        self._graph.run(binding, self._options)


def _open(path: Path, provider: str, threads: int) -> ort.InferenceSession:
    options = ort.SessionOptions()
    options.intra_op_num_threads = threads
    # Spinning threads are a little faster alone and ruinous beside any other process.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    options.enable_mem_pattern = False  # it would keep a plan for every length of a prompt
    options.enable_cpu_mem_arena = False  # it would keep what the longest prompt once needed
    options.log_severity_level = 4
    chosen = list(dict.fromkeys((NAMES[provider], NAMES["cpu"])))
    try:
        return ort.InferenceSession(path, options, providers=chosen)
    except Exception as error:  # the library's errors have no class in common
        raise ModelNotLoadable(f"onnxruntime cannot load the graph: {error}") from error


def _useful_threads(graph: Path, threads: int) -> int:
    """Fewer threads for a small model, which is computed faster than threads wake up."""
    size = sum(file.stat().st_size for file in graph.parent.glob(f"{graph.name}*"))
    return max(1, min(threads, size // WORTH_A_THREAD))


def _number_type(tensor: ort.NodeArg) -> np.dtype[Any]:
    if tensor.type not in _TYPES:
        raise ModelNotLoadable(f"This graph cannot be batched: {tensor.name} is a {tensor.type}.")
    return np.dtype(_TYPES[tensor.type])
