"""Baseline of image encoding: llama.cpp's mtmd in a bare process.

Reads ``{"texts": [file, …], …}`` per line and answers ``{"tokens": n, "seconds": s}``: what the
pictures in the files became, and how long it took to encode them.
"""

from __future__ import annotations

import argparse
import ctypes
from typing import Any

import llama_cpp as lc
from llama_cpp import mtmd_cpp as mtmd
from PIL import Image

from bench.baselines.driver import serve


class ImageEncoder:
    """An ``mmproj`` file and its model, which mtmd needs for the tokens."""

    def __init__(self, model: str, mmproj: str, threads: int) -> None:
        self._silence = lc.llama_log_callback(lambda *_: None)  # kept: the library calls it
        for quiet in (lc.llama_log_set, mtmd.mtmd_log_set, mtmd.mtmd_helper_log_set):
            quiet(self._silence, ctypes.c_void_p(0))
        lc.llama_backend_init()
        self._model = lc.llama_model_load_from_file(model.encode(), lc.llama_model_default_params())
        options = mtmd.mtmd_context_params_default()
        options.use_gpu, options.print_timings, options.n_threads = False, False, threads
        self._encoder: Any = mtmd.mtmd_init_from_file(mmproj.encode(), self._model, options)

    def run(self, files: list[str], _max_tokens: int, _lanes: int) -> int:
        """Encode the pictures, one after the other; the tokens that they became."""
        return sum(self._encode(file) for file in files)

    def _encode(self, file: str) -> int:
        with Image.open(file) as opened:
            picture = opened.convert("RGB")
        raw = picture.tobytes()
        pixels = (ctypes.c_uint8 * len(raw)).from_buffer_copy(raw)
        bitmap = mtmd.mtmd_bitmap_init(picture.width, picture.height, pixels)
        chunks = mtmd.mtmd_input_chunks_init()
        marker = mtmd.mtmd_default_marker()
        text = mtmd.mtmd_input_text(marker, len(marker), False, True)
        bitmaps = (mtmd.mtmd_bitmap_p_ctypes * 1)(bitmap)
        if mtmd.mtmd_tokenize(self._encoder, chunks, ctypes.byref(text), bitmaps, 1):
            raise RuntimeError(f"mtmd cannot take {file}")
        tokens = sum(map(self._look, self._images(chunks)))
        mtmd.mtmd_input_chunks_free(chunks)
        mtmd.mtmd_bitmap_free(bitmap)
        return tokens

    def _images(self, chunks: Any) -> list[Any]:
        every = range(mtmd.mtmd_input_chunks_size(chunks))
        found = [mtmd.mtmd_input_chunks_get(chunks, index) for index in every]
        image = mtmd.MTMD_INPUT_CHUNK_TYPE_IMAGE
        return [chunk for chunk in found if mtmd.mtmd_input_chunk_get_type(chunk) == image]

    def _look(self, chunk: Any) -> int:
        if mtmd.mtmd_encode_chunk(self._encoder, chunk):
            raise RuntimeError("mtmd cannot encode a picture")
        return int(mtmd.mtmd_input_chunk_get_n_tokens(chunk))


def main() -> None:
    """Serve measurements over standard input and output until the input ends."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("model")
    parser.add_argument("--mmproj", required=True)
    parser.add_argument("--threads", type=int, required=True)
    options = parser.parse_args()
    serve(ImageEncoder(options.model, options.mmproj, options.threads).run)


if __name__ == "__main__":
    main()
