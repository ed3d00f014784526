"""The tokenizer of a Hugging Face folder: ``tokenizer.json`` and the files beside it.

For engines whose library has no tokenizer that is safe with hostile text. It works from the files
alone, runs no code of the model, and knows the bytes of every token.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tokenizers import Tokenizer

from app.provider.errors import ModelNotLoadable
from app.provider.formats.thinking import MARKER_TEXTS
from app.provider.generation.constraints.token_table import TokenTable
from app.provider.generation.folder_templates import chat_templates
from app.provider.headers.files import optional_json

_BYTE = re.compile(r"<0x([0-9A-F]{2})>")
_SPACE = "▁"


class HubTokenizer:
    """The tokeniser of a folder; raises ModelNotLoadable when there is none that fits.

    ``ends`` are further ids that end an answer, beside those that the folder names itself, and
    ``end_texts`` spellings of such tokens, as far as there are any.
    """

    def __init__(
        self, folder: Path, ends: frozenset[int] = frozenset(), end_texts: tuple[str, ...] = ()
    ) -> None:
        try:
            self._tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
        except Exception as error:  # the library raises plain Exception
            raise ModelNotLoadable(f"tokenizer.json cannot be read: {error}") from error
        self._tokenizer.no_truncation()
        self._tokenizer.no_padding()
        settings = optional_json(folder / "tokenizer_config.json")
        self.chat_templates = chat_templates(folder, settings)
        older = optional_json(folder / "special_tokens_map.json")
        self.special_tokens = self._special_tokens(older) | self._special_tokens(settings)
        self._add_ends_of_texts()
        added = self._tokenizer.get_added_tokens_decoder()
        self._control = {number for number, token in added.items() if token.special}
        self._added = added.keys() - self._control
        self.control_texts = tuple(added[number].content for number in sorted(self._control))
        self.added_texts = tuple(one.content for one in added.values() if not one.special)
        self.size = max(
            (self._tokenizer.get_vocab_size(with_added_tokens=False), *(n + 1 for n in added))
        )
        spelled = {number for number in self._control if self.spelling(number) in end_texts}
        self._ends = ends | spelled | self._named_ends(folder)
        self._decode = _decoder(self._tokenizer)
        self.prefix = _prefix(self._tokenizer)
        self._pieces: dict[tuple[int, bool], bytes | None] = {}

    def _add_ends_of_texts(self) -> None:
        """Recognise the bos and eos tokens in texts, as transformers does."""
        known = {one.content for one in self._tokenizer.get_added_tokens_decoder().values()}
        named = {self.special_tokens.get(name, "") for name in ("bos_token", "eos_token")}
        words = sorted(text for text in named - known if len(text) > 1)
        self._tokenizer.add_special_tokens(words)

    def tokenize(self, text: str) -> list[int]:
        """Text → token ids, none before or after; special tokens in ``text`` are recognised."""
        whole = text.encode("utf-8", "replace").decode()  # half a surrogate pair is no text
        ids: list[int] = self._tokenizer.encode(whole, add_special_tokens=False).ids
        return ids

    def normalized(self, text: str) -> str:
        """Text as it is searched for some of the special tokens."""
        normalizer = self._tokenizer.normalizer
        whole = text.encode("utf-8", "replace").decode()
        return str(normalizer.normalize_str(whole)) if normalizer else text

    def end_with(self, text: str, *, ends: bool = True) -> None:
        """Make the token with this spelling end answers as well, or end them no more."""
        if (token := self._tokenizer.token_to_id(text)) is not None:
            self._ends = self._ends | {token} if ends else self._ends - {token}
            self._pieces.clear()

    def spelling(self, token: int) -> str:
        """The spelling of a token in the vocabulary; empty where there is none."""
        return self._tokenizer.id_to_token(token) or ""

    def piece(self, token: int, *, keep_special: bool = False) -> bytes | None:
        """Bytes of a token as they appear in an answer; None ends the answer."""
        known = (token, keep_special)
        if known not in self._pieces:
            self._pieces[known] = self._bytes(token, keep_special=keep_special)
        return self._pieces[known]

    def token_table(self) -> TokenTable:
        """The bytes of all tokens; ids that no token has are among the special ones."""
        ids = self._tokenizer.get_vocab(with_added_tokens=True).values()
        size = max(ids) + 1
        special = self._control | self._ends | (set(range(size)) - set(ids))
        pieces = [self._bytes(token, keep_special=True) for token in range(size)]
        return TokenTable(
            [piece or self.spelling(token).encode() for token, piece in enumerate(pieces)],
            frozenset(special),
            sorted(self._ends),
            self.tokenize,
        )

    def _bytes(self, token: int, *, keep_special: bool) -> bytes | None:
        if token in self._ends:
            return None
        text = self._tokenizer.id_to_token(token)
        if text is None:
            return b""
        if token in self._control:
            return text.encode() if keep_special or text in MARKER_TEXTS else b""
        # Byte-level vocabularies write only what they have learnt in letters for bytes.
        plain = token in self._added and self._decode is _from_letters
        return text.encode() if plain else self._decode(text)

    def _special_tokens(self, settings: dict[str, Any]) -> dict[str, str]:
        """Spellings of the existing special tokens, by their names in templates."""
        named = {key: _spelling(value) for key, value in settings.items() if key.endswith("_token")}
        known = self._tokenizer.token_to_id
        return {key: text for key, text in named.items() if text and known(text) is not None}

    def _named_ends(self, folder: Path) -> frozenset[int]:
        """Ids of the end of an answer: the eos token, and those of the generation settings."""
        named = optional_json(folder / "generation_config.json").get("eos_token_id")
        if named is None:
            named = optional_json(folder / "config.json").get("eos_token_id")
        ids = named if isinstance(named, list) else [named]
        eos = self._tokenizer.token_to_id(self.special_tokens.get("eos_token", ""))
        return frozenset(number for number in (*ids, eos) if isinstance(number, int))


def _prefix(tokenizer: Tokenizer) -> tuple[int, ...]:
    """Tokens that begin every prompt: what the tokeniser puts before a text."""
    alone = tokenizer.encode("a", add_special_tokens=False).ids
    framed: list[int] = tokenizer.encode("a", add_special_tokens=True).ids
    starts = (at for at in range(len(framed)) if framed[at : at + len(alone)] == alone)
    return tuple(framed[: next(starts, 0)])


def _spelling(token: object) -> str:
    """A token's text, which is written plainly or as an object."""
    text = token.get("content") if isinstance(token, dict) else token
    return text if isinstance(text, str) else ""


def _decoder(tokenizer: Tokenizer) -> Callable[[str], bytes]:
    """The function that turns a token's spelling into bytes."""
    kind = json.loads(tokenizer.to_str()).get("decoder")
    return _from_letters if "ByteLevel" in json.dumps(kind) else _from_pieces


def _from_letters(text: str) -> bytes:
    """GPT-2's spelling: one printable letter for each byte."""
    return bytes(_LETTERS.get(letter, ord("?")) for letter in text)


def _from_pieces(text: str) -> bytes:
    """SentencePiece's spelling: a mark for the space, and names for bytes."""
    if found := _BYTE.fullmatch(text):
        return bytes([int(found.group(1), 16)])
    return text.replace(_SPACE, " ").encode()


def _letters() -> dict[str, int]:
    """Byte-level BPE's letter of each byte: itself where printable, else from 256 on."""
    plain = [*range(33, 127), *range(161, 173), *range(174, 256)]
    others = [byte for byte in range(256) if byte not in plain]
    return {chr(byte): byte for byte in plain} | {
        chr(256 + index): byte for index, byte in enumerate(others)
    }


_LETTERS = _letters()
