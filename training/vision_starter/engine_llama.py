"""Asks the exported GGUF files through llama.cpp's mtmd."""

import ctypes
from collections.abc import Callable
from pathlib import Path
from typing import Any

import llama_cpp
from llama_cpp import mtmd_cpp
from PIL import Image

from training.vision_starter.conversations import Case
from training.vision_starter.pictures import CELL, MAX_PIXELS, stretched
from training.vision_starter.prompts import LONGEST_ANSWER, prompt_of


def answerer(models: Path, *, resizing: bool = True) -> Callable[[Case], str]:
    """Return what answers a case; pictures are resized for llama.cpp, or it does so itself."""
    files = models / "starter-vision.gguf", models / "mmproj-starter-vision.gguf"
    return Mtmd(*files, resizing=resizing).answer


@llama_cpp.llama_log_callback  # type: ignore[untyped-decorator, unused-ignore]
def _nothing(level: int, text: bytes, user: object) -> None:
    """Drop a line of the log. The libraries call it as long as the process lives."""


def _silence() -> None:
    llama_cpp.llama_log_set(_nothing, None)
    mtmd_cpp.mtmd_log_set(_nothing, None)
    mtmd_cpp.mtmd_helper_log_set(_nothing, None)


class Mtmd:
    """A GGUF model and its ``mmproj`` file, one conversation at a time."""

    def __init__(self, model: Path, mmproj: Path, *, resizing: bool) -> None:
        self.resizing = resizing
        _silence()
        llama_cpp.llama_backend_init()
        settings = llama_cpp.llama_model_default_params()
        self.model = llama_cpp.llama_model_load_from_file(str(model).encode(), settings)
        limits = llama_cpp.llama_context_default_params()
        limits.n_ctx, limits.n_threads, limits.n_threads_batch = 2048, 1, 1
        self.context = llama_cpp.llama_init_from_model(self.model, limits)
        self.vocabulary = llama_cpp.llama_model_get_vocab(self.model)
        options = mtmd_cpp.mtmd_context_params_default()
        options.use_gpu, options.print_timings, options.n_threads = False, False, 1
        options.image_max_tokens = MAX_PIXELS // CELL**2
        self.encoder = mtmd_cpp.mtmd_init_from_file(str(mmproj).encode(), self.model, options)
        self.place = mtmd_cpp.mtmd_default_marker().decode()

    def answer(self, case: Case) -> str:
        """Return what the model says, greedily, to the last question of a case."""
        text, pictures = prompt_of(case, self.place)
        llama_cpp.llama_memory_clear(llama_cpp.llama_get_memory(self.context), True)
        if self.resizing:
            pictures = [stretched(picture)[0] for picture in pictures]
        past = self._read(text, pictures)
        made: list[int] = []
        while len(made) < LONGEST_ANSWER and not self._ends(token := self._best()):
            made.append(token)
            self._decode(token, past + len(made) - 1)
        return b"".join(map(self._piece, made)).decode(errors="replace")

    def _read(self, text: str, pictures: list[Image.Image]) -> int:
        """Let the model read a prompt; return the next position."""
        raw = text.encode()
        bitmaps = [self._bitmap(picture) for picture in pictures]
        array = (mtmd_cpp.mtmd_bitmap_p_ctypes * max(1, len(bitmaps)))(*bitmaps)
        chunks = mtmd_cpp.mtmd_input_chunks_init()
        given = mtmd_cpp.mtmd_input_text(raw, len(raw), False, True)
        if mtmd_cpp.mtmd_tokenize(self.encoder, chunks, ctypes.byref(given), array, len(bitmaps)):
            raise ValueError(f"mtmd cannot tokenise {text!r}")
        past = ctypes.c_int32(0)
        failed = mtmd_cpp.mtmd_helper_eval_chunks(
            self.encoder, self.context, chunks, 0, 0, 512, True, ctypes.byref(past)
        )
        mtmd_cpp.mtmd_input_chunks_free(chunks)
        for bitmap in bitmaps:
            mtmd_cpp.mtmd_bitmap_free(bitmap)
        if failed:
            raise ValueError("mtmd cannot read the prompt")
        return past.value

    def _bitmap(self, picture: Image.Image) -> Any:
        raw = picture.tobytes()
        numbers = (ctypes.c_uint8 * len(raw)).from_buffer_copy(raw)
        return mtmd_cpp.mtmd_bitmap_init(picture.width, picture.height, numbers)

    def _best(self) -> int:
        logits = llama_cpp.llama_get_logits_ith(self.context, -1)
        size = llama_cpp.llama_vocab_n_tokens(self.vocabulary)
        return max(range(size), key=logits.__getitem__)

    def _ends(self, token: int) -> bool:
        return bool(llama_cpp.llama_vocab_is_eog(self.vocabulary, token))

    def _decode(self, token: int, position: int) -> None:
        batch = llama_cpp.llama_batch_init(1, 0, 1)
        batch.n_tokens, batch.token[0], batch.pos[0] = 1, token, position
        batch.n_seq_id[0], batch.seq_id[0][0], batch.logits[0] = 1, 0, True
        llama_cpp.llama_decode(self.context, batch)
        llama_cpp.llama_batch_free(batch)

    def _piece(self, token: int) -> bytes:
        buffer = ctypes.create_string_buffer(64)
        size = llama_cpp.llama_token_to_piece(self.vocabulary, token, buffer, 64, 0, False)
        return buffer.raw[:size]
