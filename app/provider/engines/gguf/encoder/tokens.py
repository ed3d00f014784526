"""Texts and pairs of texts as the tokens of an encoder, with its special tokens around them."""

from __future__ import annotations

import re
import unicodedata

import llama_cpp

from app.provider.engines.gguf import metadata
from app.provider.engines.gguf.model import LlamaModel
from app.provider.headers.bounds import check_tokens

_NFC = {"qwen2", "modern-bert"}
"""Kinds of byte-level BPE whose texts are composed first, which llama.cpp leaves out."""
_LONG_WORD = re.compile(r"[^\W_\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0002fa1f]{101,}")
"""More letters than WordPiece looks at; each Chinese one is a word of its own."""
_QWEN_END = "<|endoftext|>"
"""What Qwen's embedders end a text with; files may name the end of an answer instead."""


class EncoderTokenizer:
    """The tokenizer of a GGUF file. ``before`` and ``after`` a text come special tokens.

    ``ends_with``: the vector of the last token is that of the text, so a special token must end
    it, whether or not the file says so. ``cased``: the vocabulary has capital letters and accents.
    """

    def __init__(self, model: LlamaModel, *, ends_with: bool, cased: bool) -> None:
        self._model = model
        self._vocabulary = model.vocabulary
        self._kind = self._value("model")
        self._pre = self._value("pre")
        self._composes = self._kind == "gpt2" and self._pre in _NFC
        self._decomposes = self._kind == "bert" and not cased and self._strips_accents()
        unknown = model.vocabulary.special_tokens.get("unk_token", "")
        self._unknown = unknown if self._kind == "bert" else ""
        self.before = self._known(self._beginning())
        self.after = self._known(self._end(ends_with=ends_with))
        self.between = self.after * 2 if self._spelled(self.after) == "</s>" else self.after

    @property
    def size(self) -> int:
        """Tokens of the vocabulary."""
        return self._vocabulary.size

    def text(self, text: str, *, special: bool = True) -> tuple[int, ...]:
        """The tokens of a text, none before or after; ``special`` ones are recognised in it."""
        return tuple(self._vocabulary.tokenize(self._normalized(text), special=special))

    def _normalized(self, text: str) -> str:
        """Take characters apart, or put them together, as the model's own tokenizer does.

        llama.cpp keeps the first part of a character only, so all Korean syllables with the same
        first letter would be alike. It also looks at words of any length.
        """
        if self._composes:
            return unicodedata.normalize("NFC", text)
        if self._decomposes:
            text = unicodedata.normalize("NFD", text)
        return _LONG_WORD.sub(self._unknown, text) if self._unknown else text

    def _strips_accents(self) -> bool:
        lowers = self._value("normalizer.lowercase") or "true"
        return (self._value("normalizer.strip_accents") or lowers) == "true"

    # ---------------------------------------------------------------- special tokens

    def _beginning(self) -> int | None:
        vocabulary = llama_cpp.llama_model_get_vocab(self._model.handle)
        if self._kind == "bert":
            return int(llama_cpp.llama_vocab_bos(vocabulary))
        if self._is_roberta or llama_cpp.llama_vocab_get_add_bos(vocabulary):
            return self._id("bos")
        return None

    def _end(self, *, ends_with: bool) -> int | None:
        vocabulary = llama_cpp.llama_model_get_vocab(self._model.handle)
        if self._kind == "bert":
            return int(llama_cpp.llama_vocab_sep(vocabulary))
        if ends_with and self._value("add_eos_token") != "false":
            return self._last()
        if self._is_roberta or llama_cpp.llama_vocab_get_add_eos(vocabulary):
            return self._id("eos")
        return None

    def _last(self) -> int | None:
        """The token whose vector stands for the text."""
        named = self._vocabulary.tokenize(_QWEN_END)
        return named[0] if len(named) == 1 else self._id("eos")

    @property
    def _is_roberta(self) -> bool:
        """XLM-R has a vocabulary of T5's kind; old files do not say what comes around a text."""
        return self._kind == "t5"

    def _id(self, name: str) -> int | None:
        stated = self._value(f"{name}_token_id")
        return int(stated) if stated.isdecimal() else None

    def _value(self, key: str) -> str:
        found = metadata.value(self._model.handle, f"tokenizer.ggml.{key}") or b""
        return found.decode(errors="replace")

    def _known(self, token: int | None) -> tuple[int, ...]:
        """The token in a tuple, if there is one; raises ModelNotLoadable for an impossible one."""
        if token is None or token < 0:
            return ()
        check_tokens("special token", token, self.size)
        return (token,)

    def _spelled(self, tokens: tuple[int, ...]) -> str:
        return self._vocabulary.spelling(tokens[0]) if tokens else ""
