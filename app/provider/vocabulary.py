"""Tokens of models in Hugging Face folders: ``tokenizer.json`` and what stands beside it.

For engines whose library brings no tokeniser of its own that can be trusted with hostile text:
it works from the file alone, runs no code of the model, and gives the bytes of every token.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tokenizers import Tokenizer

from app.provider.catalogue.files import optional_json
from app.provider.errors import ModelNotLoadable

_BYTE = re.compile(r"<0x([0-9A-F]{2})>")
_SPACE = "▁"


class HubVocabulary:
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
        self.chat_template = _chat_template(folder, settings)
        self.bos_text = _spelling(settings.get("bos_token"))
        self.eos_text = _spelling(settings.get("eos_token"))
        added = self._tokenizer.get_added_tokens_decoder()
        self._control = {number for number, token in added.items() if token.special}
        self.control_texts = tuple(added[number].content for number in sorted(self._control))
        spelled = {number for number in self._control if self.spelling(number) in end_texts}
        self._ends = ends | spelled | self._named_ends(folder)
        self._decode = _decoder(self._tokenizer)
        self._pieces: dict[int, bytes | None] = {}

    def tokenize(self, text: str, *, add_special: bool) -> list[int]:
        """Text → token ids; control tokens in ``text`` are recognised."""
        whole = text.encode("utf-8", "replace").decode()  # half a surrogate pair is no text
        ids: list[int] = self._tokenizer.encode(whole, add_special_tokens=add_special).ids
        return ids

    def spelling(self, token: int) -> str:
        """How a token is written in the vocabulary; empty where there is none."""
        return self._tokenizer.id_to_token(token) or ""

    def piece(self, token: int) -> bytes | None:
        """Bytes of a token as they appear in an answer; None ends the answer."""
        if token not in self._pieces:
            self._pieces[token] = self._bytes(token)
        return self._pieces[token]

    def _bytes(self, token: int) -> bytes | None:
        if token in self._ends:
            return None
        text = self._tokenizer.id_to_token(token)
        if text is None or token in self._control:
            return b""
        return self._decode(text)

    def _named_ends(self, folder: Path) -> frozenset[int]:
        """Ids of the end of an answer: the eos token, and those of the generation settings."""
        named = optional_json(folder / "generation_config.json").get("eos_token_id")
        if named is None:
            named = optional_json(folder / "config.json").get("eos_token_id")
        ids = named if isinstance(named, list) else [named]
        eos = self._tokenizer.token_to_id(self.eos_text) if self.eos_text else None
        return frozenset(number for number in (*ids, eos) if isinstance(number, int))


def _chat_template(folder: Path, settings: dict[str, Any]) -> str | None:
    """The Jinja source, from the file of its own or from the tokeniser's settings."""
    own = folder / "chat_template.jinja"
    if own.is_file():
        return own.read_text(encoding="utf-8")
    # Models that are shown pictures have a second one, which writes their places.
    processor = optional_json(folder / "chat_template.json")
    source = processor.get("chat_template") or settings.get("chat_template")
    if isinstance(source, list):  # several by name
        named = {one.get("name"): one.get("template") for one in source}
        source = named.get("default")
    return source if isinstance(source, str) else None


def _spelling(token: object) -> str:
    """A token's text, which is written plainly or as an object."""
    text = token.get("content") if isinstance(token, dict) else token
    return text if isinstance(text, str) else ""


def _decoder(tokenizer: Tokenizer) -> Callable[[str], bytes]:
    """How the spelling of a token in the vocabulary becomes bytes."""
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
