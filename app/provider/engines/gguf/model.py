"""A loaded GGUF file: its weights, vocabulary and metadata."""

from __future__ import annotations

import ctypes
import logging
import re
from collections.abc import Callable, Mapping
from functools import cache
from types import MappingProxyType

import llama_cpp

from app.provider.engines.gguf import metadata
from app.provider.engines.gguf.tokenizer import LlamaTokenizer
from app.provider.errors import ModelNotLoadable
from app.provider.headers.bounds import MOST_TOKENS, check_number, check_tokens

log = logging.getLogger(__name__)

_ERROR_LEVEL = 4  # ggml_log_level: 2 info, 3 warning, 4 error


class LibraryLog:
    """llama.cpp's own log: errors are kept as the reason of a failure, the rest is dropped."""

    def __init__(self) -> None:
        self._lines: list[str] = []
        self.callback = llama_cpp.llama_log_callback(self._take)  # the library keeps the address
        llama_cpp.llama_log_set(self.callback, ctypes.c_void_p(0))

    def _take(self, level: int, text: bytes, _data: object) -> None:
        if level == _ERROR_LEVEL:
            line = text.decode("utf-8", errors="replace").strip()
            log.error("llama.cpp: %s", line)
            self._lines = [*self._lines[-4:], line]

    def forget(self) -> None:
        """Drop the errors of the file before."""
        self._lines = []

    def reason(self) -> str:
        """Return the first of the last errors, without the name of the function."""
        return self._lines[0].split(": ", 1)[-1] if self._lines else "no reason was given"


@cache
def library_log() -> LibraryLog:
    """The one log of this process: the library would call back an object that is freed."""
    return LibraryLog()


class LlamaModel:
    """Weights and vocabulary; raises ModelNotLoadable. Loading progress is in percent.

    ``flags`` are booleans of the metadata that the file states wrongly, or not at all.
    """

    def __init__(
        self,
        path: str,
        gpu_layers: int,
        progress: Callable[[int], None],
        flags: Mapping[str, bool] = MappingProxyType({}),
    ) -> None:
        self.log = library_log()
        self.log.forget()
        llama_cpp.llama_backend_init()
        params = llama_cpp.llama_model_default_params()
        params.n_gpu_layers = gpu_layers
        overrides = _overrides(flags)
        params.kv_overrides = overrides
        callback = llama_cpp.llama_progress_callback(_whole_percents(progress))
        params.progress_callback = callback
        self.handle = llama_cpp.llama_model_load_from_file(path.encode(), params)
        if not self.handle:
            raise ModelNotLoadable(f"llama.cpp cannot load the file: {self.log.reason()}")
        if llama_cpp.llama_model_has_encoder(self.handle):
            raise ModelNotLoadable("Models with an encoder (T5 and the like) are not supported.")
        self.vocabulary = LlamaTokenizer(self.handle)
        self._check_numbers()

    def _check_numbers(self) -> None:
        """Refuse an impossible context length or token id before memory is taken for it."""
        context = self._stated(f"{self._architecture}.context_length")
        check_number("context_length", context, MOST_TOKENS, least=1)
        for name in ("bos_token_id", "eos_token_id"):
            check_tokens(name, self._stated(f"tokenizer.ggml.{name}"), self.vocabulary.size)

    @property
    def _architecture(self) -> str:
        stated = metadata.value(self.handle, "general.architecture") or b""
        return stated.decode(errors="replace")

    def _stated(self, key: str) -> int | None:
        """A whole number of the metadata; None where there is none."""
        value = metadata.value(self.handle, key) or b""
        return int(value) if re.fullmatch(rb"-?\d+", value) else None

    @property
    def trained_context(self) -> int:
        """Tokens the model was trained to attend over."""
        return int(llama_cpp.llama_model_n_ctx_train(self.handle))

    @property
    def embedding_width(self) -> int:
        """Width of the model's input embeddings."""
        return int(llama_cpp.llama_model_n_embd_inp(self.handle))

    @property
    def stateful(self) -> bool:
        """Recurrent and hybrid models keep a state that cannot be cut back to a prefix."""
        return bool(
            llama_cpp.llama_model_is_recurrent(self.handle)
            or llama_cpp.llama_model_is_hybrid(self.handle)
        )

    def bytes_per_cell(self) -> int:
        """Bytes of float16 keys and values that one token takes over all layers."""
        heads = max(1, llama_cpp.llama_model_n_head(self.handle))
        width = llama_cpp.llama_model_n_embd(self.handle) // heads
        keys = self._stated(f"{self._architecture}.attention.key_length") or width
        values = self._stated(f"{self._architecture}.attention.value_length") or width
        layers: int = llama_cpp.llama_model_n_layer(self.handle)
        return 2 * layers * llama_cpp.llama_model_n_head_kv(self.handle) * (keys + values) or 1

    def close(self) -> None:
        """Free the weights."""
        llama_cpp.llama_model_free(self.handle)


def open_vocabulary(path: str) -> LlamaTokenizer:
    """Open only the vocabulary and the metadata of a file, without its weights.

    The file stays open as long as the process lives. Raises ModelNotLoadable.
    """
    library_log().forget()
    params = llama_cpp.llama_model_default_params()
    params.vocab_only = True
    handle = llama_cpp.llama_model_load_from_file(path.encode(), params)
    if not handle:
        raise ModelNotLoadable(f"llama.cpp cannot load the file: {library_log().reason()}")
    return LlamaTokenizer(handle)


def _overrides(flags: Mapping[str, bool]) -> ctypes.Array[llama_cpp.llama_model_kv_override]:
    """The metadata that takes the place of the file's; an empty key ends it."""
    overrides = (llama_cpp.llama_model_kv_override * (len(flags) + 1))()
    for override, (key, value) in zip(overrides, flags.items(), strict=False):
        override.tag = llama_cpp.LLAMA_KV_OVERRIDE_TYPE_BOOL
        override.key = key.encode()
        override.value.val_bool = value
    return overrides


def _whole_percents(progress: Callable[[int], None]) -> Callable[[float, object], bool]:
    last = -1

    def report(fraction: float, _data: object) -> bool:
        nonlocal last
        if int(fraction * 100) > last:
            last = int(fraction * 100)
            progress(last)
        return True

    return report
