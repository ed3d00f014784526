"""The llama.cpp context: one batch for all sequences, and the memory of keys and values."""

from __future__ import annotations

import ctypes
import math
import time

import llama_cpp
import numpy as np
from numpy.typing import NDArray

from app.provider.engines.gguf.context_cells import ContextLayout
from app.provider.engines.gguf.llama_batch import ImagePositions, TokenRows, VectorRows, Vectors
from app.provider.engines.gguf.model import LlamaModel
from app.provider.errors import ModelNotLoadable
from app.provider.generation.prefill_budget import BATCH_TOKENS

TINY = 0.0005
"""Seconds that a token takes. In a model for which it is less, threads wait for each other most of
the time as soon as the API process needs a core too, which answers to several clients make it do:
then one thread is faster, and leaves the other cores alone."""

SMALL = 0.05
"""Seconds that the first token may take, from a cold disk, if the model may be tiny."""

State = NDArray[np.uint8]
"""The keys and values of a sequence outside the context, in llama.cpp's format."""


class LlamaContext:
    """Runs batches that may hold tokens of any mixture of sequences.

    In unified memory sequences share the cells of a common prefix, and ``copy`` costs nothing.
    With streams llama.cpp splits a batch: one pass computes one token of each sequence with
    consecutive numbers.
    """

    def __init__(self, model: LlamaModel, layout: ContextLayout, *, threads: int) -> None:
        params = llama_cpp.llama_context_default_params()
        params.n_ctx = layout.cells
        params.n_batch = params.n_ubatch = BATCH_TOKENS
        params.n_seq_max = params.n_outputs_max = layout.sequences
        params.n_threads = params.n_threads_batch = threads
        params.kv_unified = not layout.streams
        self.streams = layout.streams
        self._threads = self._used_threads = threads
        self._tiny = False
        self._handle = llama_cpp.llama_init_from_model(model.handle, params)
        if not self._handle:
            raise ModelNotLoadable(
                f"There is not enough memory for a context of {layout.cells} tokens; "
                "set CONTEXT_LENGTH or KV_CACHE_MB lower."
            )
        self._memory = llama_cpp.llama_get_memory(self._handle)
        self._row_of_logits = ctypes.c_float * model.vocabulary.size
        self._rows = TokenRows(BATCH_TOKENS)
        self._vectors = VectorRows()
        self._order: NDArray[np.int64] | None = None  # where the rows of the last batch went

    # ---------------------------------------------------------------- batches

    def add(self, sequence: int, position: int, tokens: list[int], *, output: bool) -> int:
        """Put tokens of a sequence into the next batch; return the row of the last one."""
        return self._rows.add(sequence, position, tokens, output=output)

    def decode(self) -> None:
        """Compute the batch. An error leaves the memory in doubt, so it ends the process."""
        self._order = self._rows.sort()
        if self._tiny:
            self._use_threads(1 if self._rows.outputs > 1 else self._threads)
        self._decode(self._rows.take())

    def add_vectors(
        self, sequence: int, image_positions: ImagePositions, vectors: Vectors, *, output: bool
    ) -> int:
        """Put vectors of an image into the next vector batch; return the row of the last one."""
        return self._vectors.add(sequence, image_positions, vectors, output=output)

    def decode_vectors(self, *, causal: bool) -> None:
        """Compute the batch of vectors; without ``causal`` each attends to all others."""
        if not causal:
            llama_cpp.llama_set_causal_attn(self._handle, False)
        self._order = None
        self._decode(self._vectors.take())
        llama_cpp.llama_set_causal_attn(self._handle, True)

    def _decode(self, batch: llama_cpp.llama_batch) -> None:
        code = llama_cpp.llama_decode(self._handle, batch)
        if code != 0:
            raise RuntimeError(f"llama_decode returned {code}")

    def is_number(self, row: int) -> bool:
        """Whether the logits of an output row are; when one is not, none is."""
        return not math.isnan(self._logits(row)[0])

    def sample(self, sampler: llama_cpp.llama_sampler_p, row: int) -> int:
        """Draw a token from the logits of an output row."""
        return int(llama_cpp.llama_sampler_sample(sampler, self._handle, self._index(row)))

    def likeliest(self, row: int) -> int:
        """Return the token with the largest logit of an output row, the first of equal ones."""
        return int(self.logits(row).argmax())

    def logits(self, row: int) -> NDArray[np.float32]:
        """The logits of an output row, valid until the next batch."""
        return np.frombuffer(memoryview(self._logits(row)), np.float32)

    def _logits(self, row: int) -> ctypes.Array[ctypes.c_float]:
        pointer = llama_cpp.llama_get_logits_ith(self._handle, self._index(row))
        return self._row_of_logits.from_address(ctypes.addressof(pointer.contents))

    def _index(self, row: int) -> int:
        """Where a row of ``add`` lies in the last batch."""
        return row if self._order is None else int(self._order[row])

    def set_threads(self, threads: int) -> None:
        """Use that many threads for the next batches."""
        self._threads = threads
        self._use_threads(threads)

    def _use_threads(self, threads: int) -> None:
        if threads != self._used_threads:
            llama_cpp.llama_set_n_threads(self._handle, threads, threads)
            self._used_threads = threads

    def warm_up(self) -> None:
        """Compute a token, so that the first request does not wait for the disk."""
        if self._seconds_of_a_token() < SMALL:
            self._tiny = min(self._seconds_of_a_token() for _ in range(3)) < TINY

    def _seconds_of_a_token(self) -> float:
        self.add(0, 0, [0], output=True)
        began = time.perf_counter()
        self.decode()
        seconds = time.perf_counter() - began
        self.clear()
        return seconds

    # ---------------------------------------------------------------- memory

    def copy(self, source: int, target: int, position: int) -> None:
        """Let ``target`` share the cells of ``source`` before ``position``, in unified memory."""
        llama_cpp.llama_memory_seq_cp(self._memory, source, target, 0, position)

    def trim(self, sequence: int, position: int) -> bool:
        """Cut a sequence off at ``position``; False when this kind of memory cannot."""
        return bool(llama_cpp.llama_memory_seq_rm(self._memory, sequence, position, -1))

    def clear(self) -> None:
        """Forget every sequence; their cells are free, and not written again."""
        llama_cpp.llama_memory_clear(self._memory, False)

    def save(self, sequence: int) -> State:
        """Copy the keys and values of a sequence out of the context."""
        size = llama_cpp.llama_state_seq_get_size(self._handle, sequence)
        state = np.empty(size, np.uint8)
        written = llama_cpp.llama_state_seq_get_data(self._handle, _bytes(state), size, sequence)
        return state[:written]

    def restore(self, sequence: int, state: State) -> bool:
        """Put saved keys and values back; False when there is no room in one piece."""
        size = len(state)
        read = llama_cpp.llama_state_seq_set_data(self._handle, _bytes(state), size, sequence)
        return bool(read)

    def close(self) -> None:
        """Free the context."""
        llama_cpp.llama_free(self._handle)


def _bytes(state: State) -> object:
    return state.ctypes.data_as(ctypes.POINTER(ctypes.c_uint8))
