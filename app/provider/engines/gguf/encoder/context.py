"""The llama.cpp context of an encoder: inputs in, one vector or score of each out."""

from __future__ import annotations

from collections.abc import Sequence

import llama_cpp
import numpy as np

from app.provider.encoding.outputs.vectors import Vectors
from app.provider.engines.gguf.encoder.sizes import PASS_ITEMS, PASS_TOKENS, EncoderSizes
from app.provider.engines.gguf.llama_batch import TokenRows
from app.provider.engines.gguf.model import LlamaModel
from app.provider.errors import ModelNotLoadable

_SHORT = 8
"""Tokens of an input that one call computes faster than two."""


class EncoderContext:
    """Computes several inputs in one call, as sequences that do not see each other.

    ``pooling`` is llama.cpp's number. ``width`` is how many numbers come out for each input.
    """

    _flash_attention = llama_cpp.LLAMA_FLASH_ATTN_TYPE_AUTO

    def __init__(
        self, model: LlamaModel, sizes: EncoderSizes, *, pooling: int, width: int, threads: int
    ) -> None:
        params = llama_cpp.llama_context_default_params()
        params.n_ctx = max(sizes.tokens, PASS_TOKENS)
        params.n_batch = params.n_ubatch = sizes.call
        params.n_seq_max = PASS_ITEMS
        params.n_threads = params.n_threads_batch = threads
        params.embeddings = True
        params.pooling_type = pooling
        params.kv_unified = True
        params.flash_attn_type = self._flash_attention
        self._handle = llama_cpp.llama_init_from_model(model.handle, params)
        if not self._handle:
            raise ModelNotLoadable(
                f"There is not enough memory for inputs of {sizes.tokens} tokens; "
                "set CONTEXT_LENGTH or KV_CACHE_MB lower.",
                lasting=False,
            )
        self._memory = llama_cpp.llama_get_memory(self._handle)
        self._rows = TokenRows(sizes.call)
        self._call = sizes.call
        self._outputs = True
        self.width = width

    def encode(self, inputs: Sequence[Sequence[int]]) -> Vectors:
        """The vectors of inputs that fit into one call, or of one that is longer: [inputs, width].

        An error leaves the context in doubt, so it ends the process.
        """
        if self._memory:
            llama_cpp.llama_memory_clear(self._memory, False)
        self._compute(inputs)
        return np.stack([self._vector(sequence) for sequence in range(len(inputs))])

    def _compute(self, inputs: Sequence[Sequence[int]]) -> None:
        for sequence, tokens in enumerate(inputs):
            self._add(sequence, 0, tokens)
        self._decode()

    def _add(self, sequence: int, position: int, tokens: Sequence[int]) -> None:
        self._rows.add(sequence, position, list(tokens), output=self._outputs)

    def _decode(self) -> None:
        code = llama_cpp.llama_decode(self._handle, self._rows.take())
        if code != 0:
            raise RuntimeError(f"llama_decode returned {code}")

    def _vector(self, sequence: int) -> Vectors:
        pointer = llama_cpp.llama_get_embeddings_seq(self._handle, sequence)
        return np.array(pointer[: self.width], np.float32)

    def set_threads(self, threads: int) -> None:
        """Use that many threads for the next calls."""
        llama_cpp.llama_set_n_threads(self._handle, threads, threads)

    def close(self) -> None:
        """Free the context."""
        llama_cpp.llama_free(self._handle)


class CausalContext(EncoderContext):
    """For models whose tokens see those before them, and whose last token stands for the text.

    llama.cpp multiplies every token of a call by the whole vocabulary, unless the caller asks for
    keys and values alone: so the last tokens have a call of their own. For so
    few, flash attention adds up in half precision.
    """

    _flash_attention = llama_cpp.LLAMA_FLASH_ATTN_TYPE_DISABLED

    def _compute(self, inputs: Sequence[Sequence[int]]) -> None:
        if len(inputs) == 1 and len(inputs[0]) <= _SHORT:
            super()._compute(inputs)
            return
        self._want_vectors(wanted=False)
        self._fill_memory(inputs)
        self._want_vectors(wanted=True)
        for sequence, tokens in enumerate(inputs):
            self._add(sequence, len(tokens) - 1, tokens[-1:])
        self._decode()

    def _fill_memory(self, inputs: Sequence[Sequence[int]]) -> None:
        """Compute all but the last tokens; a long input, which is alone, in several calls."""
        room = self._call
        for sequence, tokens in enumerate(inputs):
            for start in range(0, len(tokens) - 1, self._call):
                piece = tokens[start : min(start + self._call, len(tokens) - 1)]
                if len(piece) > room:
                    self._decode()
                    room = self._call
                self._add(sequence, start, piece)
                room -= len(piece)
        if room < self._call:
            self._decode()

    def _want_vectors(self, *, wanted: bool) -> None:
        llama_cpp.llama_set_embeddings(self._handle, wanted)
        self._outputs = wanted
