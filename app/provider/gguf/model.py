"""A loaded GGUF file: its weights, vocabulary and metadata."""

from __future__ import annotations

import ctypes
import logging
import re
from collections.abc import Callable

import llama_cpp

from app.provider.bounds import MOST_TOKENS, check_number, check_tokens
from app.provider.errors import ModelNotLoadable

log = logging.getLogger(__name__)

_UNKNOWN, _CONTROL = 1, 8  # llama.cpp's enum llama_token_attr
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

    def reason(self) -> str:
        """Return what was said first among the last errors, without the name of the function."""
        return self._lines[0].split(": ", 1)[-1] if self._lines else "no reason was given"


class LlamaModel:
    """Weights and vocabulary; raises ModelNotLoadable. Loading progress is in percent."""

    def __init__(self, path: str, gpu_layers: int, progress: Callable[[int], None]) -> None:
        self.log = LibraryLog()
        llama_cpp.llama_backend_init()
        params = llama_cpp.llama_model_default_params()
        params.n_gpu_layers = gpu_layers
        callback = llama_cpp.llama_progress_callback(_whole_percents(progress))
        params.progress_callback = callback
        self.handle = llama_cpp.llama_model_load_from_file(path.encode(), params)
        if not self.handle:
            raise ModelNotLoadable(f"llama.cpp cannot load the file: {self.log.reason()}")
        if llama_cpp.llama_model_has_encoder(self.handle):
            raise ModelNotLoadable("Models with an encoder (T5 and the like) are not supported.")
        self.vocab = llama_cpp.llama_model_get_vocab(self.handle)
        self.vocabulary_size: int = llama_cpp.llama_vocab_n_tokens(self.vocab)
        self._check_numbers()
        self.bos_text = self._special_text(llama_cpp.llama_vocab_bos(self.vocab))
        self.eos_text = self._special_text(llama_cpp.llama_vocab_eos(self.vocab))
        self.control_texts = self._find_control_texts()
        self._pieces: dict[int, bytes | None] = {}

    def _check_numbers(self) -> None:
        """Refuse a context and tokens that cannot be, before memory is taken for them."""
        context = self._stated(f"{self._metadata('general.architecture')}.context_length")
        check_number("context_length", context, MOST_TOKENS, least=1)
        for name in ("bos_token_id", "eos_token_id"):
            check_tokens(name, self._stated(f"tokenizer.ggml.{name}"), self.vocabulary_size)

    def _stated(self, key: str) -> int | None:
        """A whole number of the metadata; None where there is none."""
        value = self._metadata(key) or ""
        return int(value) if re.fullmatch(r"-?\d+", value) else None

    @property
    def chat_template(self) -> str | None:
        """The Jinja source in the file, if there is one."""
        source = llama_cpp.llama_model_chat_template(self.handle, None)
        return source.decode("utf-8", errors="replace") if source else None

    @property
    def trained_context(self) -> int:
        """Tokens the model was trained to attend over."""
        return int(llama_cpp.llama_model_n_ctx_train(self.handle))

    @property
    def embedding_width(self) -> int:
        """Numbers in a vector that stands for a token at the model's entrance."""
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
        keys = int(self._fact("attention.key_length") or width)
        values = int(self._fact("attention.value_length") or width)
        layers: int = llama_cpp.llama_model_n_layer(self.handle)
        return 2 * layers * llama_cpp.llama_model_n_head_kv(self.handle) * (keys + values) or 1

    def tokenize(self, text: str, *, add_special: bool) -> list[int]:
        """Text → token ids; control tokens in ``text`` are recognised."""
        data = text.encode("utf-8", errors="replace")
        room = len(data) + 8
        while True:
            tokens = (llama_cpp.llama_token * room)()
            count = llama_cpp.llama_tokenize(
                self.vocab, data, len(data), tokens, room, add_special, True
            )
            if count >= 0:
                return tokens[:count]
            room = -count

    def piece(self, token: int) -> bytes | None:
        """Bytes of a token as they appear in an answer; None ends the answer."""
        if token not in self._pieces:
            ends = llama_cpp.llama_vocab_is_eog(self.vocab, token)
            self._pieces[token] = None if ends else self._bytes(token, special=False)
        return self._pieces[token]

    def close(self) -> None:
        """Free the weights."""
        llama_cpp.llama_model_free(self.handle)

    def _bytes(self, token: int, *, special: bool) -> bytes:
        room = 256
        while True:
            buffer = ctypes.create_string_buffer(room)
            length = llama_cpp.llama_token_to_piece(self.vocab, token, buffer, room, 0, special)
            if length >= 0:
                return buffer.raw[:length]
            room = -length

    def _special_text(self, token: int) -> str:
        return "" if token < 0 else self._bytes(token, special=True).decode(errors="replace")

    def _find_control_texts(self) -> tuple[str, ...]:
        attributes = llama_cpp.llama_vocab_get_attr
        control = [
            token
            for token in range(self.vocabulary_size)
            if attributes(self.vocab, token) & (_UNKNOWN | _CONTROL)
        ]
        return tuple(filter(None, map(self._special_text, control)))

    def _fact(self, key: str) -> str | None:
        architecture = self._metadata("general.architecture") or ""
        return self._metadata(f"{architecture}.{key}")

    def _metadata(self, key: str) -> str | None:
        buffer = ctypes.create_string_buffer(128)
        length = llama_cpp.llama_model_meta_val_str(self.handle, key.encode(), buffer, 128)
        return buffer.value.decode() if length >= 0 else None


def _whole_percents(progress: Callable[[int], None]) -> Callable[[float, object], bool]:
    last = -1

    def report(fraction: float, _data: object) -> bool:
        nonlocal last
        if int(fraction * 100) > last:
            last = int(fraction * 100)
            progress(last)
        return True

    return report
