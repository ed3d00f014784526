"""The llama.cpp context of an encoder: inputs in, one vector or score of each out."""

from __future__ import annotations

from collections.abc import Sequence

import llama_cpp
import numpy as np
from numpy.typing import NDArray

from app.provider.engines.gguf.encoder.sizes import PASS_ITEMS, PASS_TOKENS, EncoderSizes
from app.provider.engines.gguf.llama_batch import TokenRows
from app.provider.engines.gguf.model import LlamaModel
from app.provider.errors import ModelNotLoadable

Vectors = NDArray[np.float32]


class EncoderContext:
    """Computes several inputs in one call, as sequences that do not see each other.

    ``pooling`` is llama.cpp's number. ``width`` is how many numbers come out for each input.
    """

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
        self.width = width

    def encode(self, inputs: Sequence[Sequence[int]]) -> Vectors:
        """The vectors of inputs that fit into one call, or of one that is longer: [inputs, width].

        An error leaves the context in doubt, so it ends the process.
        """
        if len(inputs) == 1:
            self._encode_long(inputs[0])
        else:
            for sequence, tokens in enumerate(inputs):
                self._rows.add(sequence, 0, list(tokens), output=True)
            self._decode()
        vectors = np.stack([self._vector(sequence) for sequence in range(len(inputs))])
        if self._memory:
            llama_cpp.llama_memory_clear(self._memory, False)
        return vectors

    def _encode_long(self, tokens: Sequence[int]) -> None:
        for start in range(0, len(tokens), self._call):
            self._rows.add(0, start, list(tokens[start : start + self._call]), output=True)
            self._decode()

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
