"""Tells whether a vocabulary of WordPiece has capital letters, which GGUF files do not say.

llama.cpp lowers every text and strips its accents unless the file forbids it, and converters
leave that out. Cased vocabularies, such as those of Korean models, would not match.
"""

from __future__ import annotations

from pathlib import Path

import llama_cpp

from app.provider.headers.fields import text
from app.provider.headers.gguf import read_header

LOWERCASE = "tokenizer.ggml.normalizer.lowercase"
_ENOUGH = 10
"""Pieces with capital letters. A vocabulary without has none but its special tokens."""


def keeps_case(path: Path) -> bool:
    """Whether texts have to be taken as they are, though the file does not say so."""
    header = read_header(path)
    metadata = header.metadata if header else {}
    if text(metadata, "tokenizer.ggml.model") != "bert" or LOWERCASE in metadata:
        return False
    return _has_capitals(path)


def _has_capitals(path: Path) -> bool:
    params = llama_cpp.llama_model_default_params()
    params.vocab_only = True
    handle = llama_cpp.llama_model_load_from_file(str(path).encode(), params)
    if not handle:
        return False  # loading the whole model gives the reason
    vocabulary = llama_cpp.llama_model_get_vocab(handle)
    size = llama_cpp.llama_vocab_n_tokens(vocabulary)
    pieces = (llama_cpp.llama_vocab_get_text(vocabulary, token) for token in range(size))
    capitals: int = sum(piece != piece.lower() for piece in pieces if not piece.startswith(b"["))
    llama_cpp.llama_model_free(handle)
    return capitals >= _ENOUGH
