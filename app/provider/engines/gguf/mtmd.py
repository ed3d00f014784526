"""libmtmd: turns images into vectors, and tells what an image becomes in a prompt."""

from __future__ import annotations

import ctypes
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import lru_cache
from typing import cast

import numpy as np
from llama_cpp import mtmd_cpp as mtmd

from app.provider.architectures.qwen_vl_pixels import Pixels, scaled
from app.provider.engine import EngineLimits
from app.provider.engines.gguf.image_layout import Chunk, ImageLayout, layout
from app.provider.engines.gguf.llama_batch import ImagePositions, Vectors
from app.provider.engines.gguf.mmproj import Mmproj
from app.provider.engines.gguf.model import LlamaModel
from app.provider.errors import ModelNotLoadable, ProviderError, UnsupportedInput
from app.provider.generation.prefill_budget import BATCH_TOKENS
from app.provider.generation.prepared_prompt import PlacedImage
from app.provider.types import ImagePart

_SIZES = 256
"""Layouts of so many image sizes are kept; one takes up to some 100 KB."""

_SHARE = 2
"""An image that is scaled here takes at most one of so many parts of the context."""


class Projector:
    """An mmproj file in memory; raises ModelNotLoadable. ``encode`` belongs to one thread.

    Where it is known how the model was trained, images are scaled here: libmtmd would keep their
    shape and pad them with black. libmtmd then takes the scaled image unchanged.
    """

    def __init__(
        self, model: LlamaModel, mmproj: Mmproj, limits: EngineLimits, context_length: int
    ) -> None:
        self._model = model
        self._path = mmproj.path
        self._on_gpu = limits.gpu_layers != 0
        self._limit = limits.image_tokens
        bounds = mmproj.scaling and mmproj.scaling.limited(context_length // _SHARE)
        self._scaling = bounds and bounds.limited(limits.image_tokens)
        self._threads = self._wanted_threads = limits.threads
        self._lock = threading.Lock()
        mtmd.mtmd_log_set(model.log.callback, ctypes.c_void_p(0))
        self._handle = self._open()
        if not mtmd.mtmd_support_vision(self._handle):
            raise ModelNotLoadable(f"{self._path.name} beside the model cannot look at pictures.")
        self._mrope = bool(mtmd.mtmd_decode_use_mrope(self._handle))
        self.causal = not mtmd.mtmd_decode_use_non_causal(self._handle, None)
        self._layout_of = lru_cache(_SIZES)(self._measured)

    def layout(self, part: ImagePart) -> ImageLayout:
        """Tokens and vectors of an image in a prompt; for any thread. Raises UnsupportedInput.

        They depend on the size alone, so the image is not decoded.
        """
        return self._layout_of(part.width, part.height)

    def encode(self, image: PlacedImage) -> Vectors:
        """Encode an image: the vectors [rows, width] of all its pieces.

        Raises UnsupportedInput when it cannot be read, ProviderError when libmtmd fails.
        """
        self._use_threads()
        pixels = scaled(image.part, image.size.width, image.size.height)
        with self._tokenized(image.size.width, image.size.height, pixels) as chunks:
            return np.concatenate([self._vectors(chunk) for chunk in chunks if _is_image(chunk)])

    def set_threads(self, threads: int) -> None:
        """Use that many CPU threads from the next picture on."""
        self._wanted_threads = threads

    def close(self) -> None:
        """Free the weights."""
        mtmd.mtmd_free(self._handle)

    # ---------------------------------------------------------------- the library

    def _open(self) -> mtmd.mtmd_context_p:
        params = mtmd.mtmd_context_params_default()
        params.use_gpu = self._on_gpu
        params.print_timings = False
        params.warmup = False
        params.n_threads = self._threads
        if self._scaling:
            params.image_min_tokens = self._scaling.min_tokens
            params.image_max_tokens = self._scaling.max_tokens
        elif self._limit:
            params.image_max_tokens = self._limit
        handle = mtmd.mtmd_init_from_file(str(self._path).encode(), self._model.handle, params)
        if not handle:
            why = self._model.log.reason()
            raise ModelNotLoadable(f"llama.cpp cannot load {self._path.name}: {why}")
        return cast("mtmd.mtmd_context_p", handle)

    def _use_threads(self) -> None:
        """Open the file again if the number of threads has changed: libmtmd cannot change it."""
        if self._threads == self._wanted_threads:
            return
        with self._lock:
            self._threads = self._wanted_threads
            mtmd.mtmd_free(self._handle)
            try:
                self._handle = self._open()
            except ModelNotLoadable as error:
                raise RuntimeError(
                    str(error)
                ) from error  # the projector is gone: this ends the process

    def _measured(self, width: int, height: int) -> ImageLayout:
        if self._scaling:
            width, height = self._scaling.size(width, height)
        with self._lock, self._tokenized(width, height) as chunks:
            found = layout([self._chunk(chunk) for chunk in chunks], width, height)
        if min(found.text, default=0) < 0:
            raise UnsupportedInput(f"The model lacks tokens that {self._path.name} needs.")
        if not self.causal and found.largest > BATCH_TOKENS:
            raise UnsupportedInput(
                f"A picture becomes {found.largest} tokens, which this model has to read at once: "
                f"more than {BATCH_TOKENS} cannot be."
            )
        return found

    @contextmanager
    def _tokenized(
        self, width: int, height: int, pixels: Pixels | None = None
    ) -> Iterator[Sequence[mtmd.mtmd_input_chunk_p]]:
        """The chunks of an image; without ``pixels`` only their lengths are valid."""
        data = ctypes.POINTER(ctypes.c_uint8)()
        if pixels is not None:
            data = np.ascontiguousarray(pixels).ctypes.data_as(ctypes.POINTER(ctypes.c_uint8))
        bitmap = mtmd.mtmd_bitmap_init(width, height, data)
        chunks = mtmd.mtmd_input_chunks_init()
        try:
            marker = mtmd.mtmd_get_marker(self._handle)
            text = mtmd.mtmd_input_text(marker, len(marker or b""), False, True)
            bitmaps = (mtmd.mtmd_bitmap_p_ctypes * 1)(bitmap)
            if mtmd.mtmd_tokenize(self._handle, chunks, ctypes.byref(text), bitmaps, 1):
                raise UnsupportedInput(f"The model cannot take a picture of {width} by {height}.")
            count = mtmd.mtmd_input_chunks_size(chunks)
            yield [mtmd.mtmd_input_chunks_get(chunks, index) for index in range(count)]
        finally:
            mtmd.mtmd_input_chunks_free(chunks)
            mtmd.mtmd_bitmap_free(bitmap)

    def _chunk(self, chunk: mtmd.mtmd_input_chunk_p) -> Chunk:
        length = mtmd.mtmd_input_chunk_get_n_tokens(chunk)
        positions = mtmd.mtmd_input_chunk_get_n_pos(chunk)
        if _is_image(chunk):
            return Chunk(length, positions, image_positions=self._image_positions(chunk, length))
        count = ctypes.c_size_t()
        tokens = mtmd.mtmd_input_chunk_get_tokens_text(chunk, ctypes.byref(count))
        return Chunk(length, positions, tokens=tuple(tokens[: count.value]) if tokens else ())

    def _image_positions(self, chunk: mtmd.mtmd_input_chunk_p, length: int) -> ImagePositions:
        if not self._mrope:
            return np.arange(length, dtype=np.int32)[None]
        found = (mtmd.mtmd_decoder_pos * length)()
        tokens = mtmd.mtmd_input_chunk_get_tokens_image(chunk)
        mtmd.mtmd_helper_image_get_decoder_pos(tokens, 0, found)
        numbers = np.frombuffer(memoryview(found).cast("B"), np.int32).reshape(length, 4)
        time, column, row, other = numbers.T
        return np.stack([time, row, column, other])  # as llama.cpp wants them

    def _vectors(self, chunk: mtmd.mtmd_input_chunk_p) -> Vectors:
        if mtmd.mtmd_encode_chunk(self._handle, chunk):
            why = self._model.log.reason()
            raise ProviderError(f"llama.cpp could not look at the picture: {why}")
        shape = (mtmd.mtmd_input_chunk_get_n_tokens(chunk), self._model.embedding_width)
        found = mtmd.mtmd_get_output_embd(self._handle)
        return np.ctypeslib.as_array(found, shape).copy()  # the next picture goes to the same place


def _is_image(chunk: mtmd.mtmd_input_chunk_p) -> bool:
    return bool(mtmd.mtmd_input_chunk_get_type(chunk) == mtmd.MTMD_INPUT_CHUNK_TYPE_IMAGE)
