"""The tokenizer of a GGUF file, its special tokens and its chat templates."""

from __future__ import annotations

import ctypes

import llama_cpp

from app.provider.engines.gguf import metadata
from app.provider.errors import ModelNotLoadable
from app.provider.formats.thinking import MARKER_TEXTS
from app.provider.generation.constraints.token_table import TokenTable

_UNKNOWN, _UNUSED, _CONTROL, _USER_DEFINED = 1, 2, 8, 16  # llama.cpp's enum llama_token_attr

_SPECIAL = {
    "bos_token": ("bos_token_id", llama_cpp.llama_vocab_bos),
    "eos_token": ("eos_token_id", llama_cpp.llama_vocab_eos),
    "pad_token": ("padding_token_id", llama_cpp.llama_vocab_pad),
    "sep_token": ("seperator_token_id", llama_cpp.llama_vocab_sep),
    "mask_token": ("mask_token_id", llama_cpp.llama_vocab_mask),
}
"""The name in templates → the key in the file, and llama.cpp's function for the token."""

_TEMPLATE = "tokenizer.chat_template"


class LlamaTokenizer:
    """Implements ``ModelTokenizer``; raises ModelNotLoadable for a chat template that is no text.

    ``model`` is llama.cpp's handle. The file may be opened for its vocabulary alone.
    """

    def __init__(self, model: llama_cpp.llama_model_p) -> None:
        self._model = model
        self._vocab = llama_cpp.llama_model_get_vocab(model)
        self.size: int = llama_cpp.llama_vocab_n_tokens(self._vocab)
        self._ids = {name: self._named(*where) for name, where in _SPECIAL.items()}
        self._ends: frozenset[int] = frozenset()
        self._goes_on = frozenset({self._default_end()} - {None})
        attributes = [llama_cpp.llama_vocab_get_attr(self._vocab, n) for n in range(self.size)]
        self.control_texts = self._texts(attributes, _UNKNOWN | _CONTROL)
        self.added_texts = self._texts(attributes, _USER_DEFINED)
        self.special_tokens = self._special_tokens(attributes)
        self.chat_templates = self._chat_templates()
        self._pieces: dict[tuple[int, bool], bytes | None] = {}

    @property
    def prefix(self) -> tuple[int, ...]:
        """Tokens that begin every prompt."""
        bos = self._ids["bos_token"]
        adds = llama_cpp.llama_vocab_get_add_bos(self._vocab)
        return (bos,) if adds and bos is not None else ()

    def tokenize(self, text: str, *, special: bool = True) -> list[int]:
        """Text → token ids, none before or after; ``special`` ones are recognised in ``text``."""
        data = text.encode("utf-8", errors="replace")
        room = len(data) + 8
        while True:
            tokens = (llama_cpp.llama_token * room)()
            count = llama_cpp.llama_tokenize(
                self._vocab, data, len(data), tokens, room, False, special
            )
            if count >= 0:
                return tokens[:count]
            room = -count

    def normalized(self, text: str) -> str:
        """Text as it is searched for special tokens: llama.cpp searches it as it is."""
        return text

    def end_with(self, text: str, *, ends: bool = True) -> None:
        """Make the token with this spelling end answers as well, or end them no more."""
        named = {token for token in self.tokenize(text)[:1] if self.spelling(token) == text}
        self._ends = self._ends | named if ends else self._ends - named
        self._goes_on = self._goes_on - named if ends else self._goes_on | named
        self._pieces.clear()

    def spelling(self, token: int) -> str:
        """How a token is written in a prompt."""
        return self._bytes(token, special=True).decode(errors="replace")

    def piece(self, token: int, *, keep_special: bool = False) -> bytes | None:
        """Bytes of a token as they appear in an answer; None ends the answer."""
        known = (token, keep_special)
        if known not in self._pieces:
            shown = None if self._is_end(token) else self._shown(token, keep_special=keep_special)
            self._pieces[known] = shown
        return self._pieces[known]

    def token_table(self) -> TokenTable:
        """The bytes of all tokens."""
        ends = [token for token in range(self.size) if self._is_end(token)]
        attributes = (llama_cpp.llama_vocab_get_attr(self._vocab, n) for n in range(self.size))
        no_text = _UNKNOWN | _UNUSED | _CONTROL
        special = {token for token, attribute in enumerate(attributes) if attribute & no_text}
        pieces = [self._bytes(token, special=True) for token in range(self.size)]
        return TokenTable(pieces, frozenset(special.union(ends)), ends, self.tokenize)

    def _is_end(self, token: int) -> bool:
        if token in self._ends:
            return True
        return token not in self._goes_on and llama_cpp.llama_vocab_is_eog(self._vocab, token)

    def _shown(self, token: int, *, keep_special: bool) -> bytes:
        shown = self._bytes(token, special=keep_special)
        if not shown and (text := self.spelling(token)) in MARKER_TEXTS:
            return text.encode()
        return shown

    def _bytes(self, token: int, *, special: bool) -> bytes:
        room = 256
        while True:
            buffer = ctypes.create_string_buffer(room)
            length = llama_cpp.llama_token_to_piece(self._vocab, token, buffer, room, 0, special)
            if length >= 0:
                return buffer.raw[:length]
            room = -length

    # ---------------------------------------------------------------- what the file says

    def _named(self, key: str, function: object) -> int | None:
        """A special token that the file names; None for llama.cpp's default of a missing one."""
        token: int = function(self._vocab)  # type: ignore[operator]
        named = metadata.value(self._model, f"tokenizer.ggml.{key}")
        return token if token >= 0 and named == str(token).encode() else None

    def _default_end(self) -> int | None:
        """The token that llama.cpp takes for the end of answers when the file names none.

        With byte-level BPE that is token 11, the comma.
        """
        if self._ids["eos_token"] is not None:
            return None
        token: int = llama_cpp.llama_vocab_eos(self._vocab)
        control = token >= 0 and llama_cpp.llama_vocab_is_control(self._vocab, token)
        return None if control else token

    def _texts(self, attributes: list[int], wanted: int) -> tuple[str, ...]:
        found = (token for token, attribute in enumerate(attributes) if attribute & wanted)
        return tuple(filter(None, map(self.spelling, found)))

    def _special_tokens(self, attributes: list[int]) -> dict[str, str]:
        named = {name: token for name, token in self._ids.items() if token is not None}
        unknown = [token for token, attribute in enumerate(attributes) if attribute & _UNKNOWN]
        if unknown:
            named["unk_token"] = unknown[0]
        return {name: self.spelling(token) for name, token in named.items()}

    def _chat_templates(self) -> dict[str, str]:
        """Jinja sources by name: the file's own is the default, others have names in their keys."""
        keys = [key for key in metadata.keys(self._model) if _is_template(key)]
        named = {key: key.removeprefix(_TEMPLATE).lstrip(".") or "default" for key in keys}
        sources = {name: metadata.value(self._model, key) or b"" for key, name in named.items()}
        try:
            return {name: source.decode() for name, source in sources.items()}
        except UnicodeDecodeError as error:
            raise ModelNotLoadable("Its chat template is not valid UTF-8.") from error


def _is_template(key: str) -> bool:
    return key == _TEMPLATE or key.startswith(f"{_TEMPLATE}.")
