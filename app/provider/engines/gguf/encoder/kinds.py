"""Recognises encoders by the headers of GGUF files, and those that would be computed wrongly."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from app.provider.card import EncoderFacts
from app.provider.encoding.folders.known_encoders import (
    KnownEncoder,
    is_named_reranker,
    known_encoder,
)
from app.provider.headers.fields import number, text
from app.provider.headers.gguf import Header

EncoderTask = Literal["embedding", "rerank"]

_ENCODERS = {
    "bert",
    "eurobert",
    "gemma-embedding",
    "jina-bert-v2",
    "jina-bert-v3",
    "llama-embed",
    "modern-bert",
    "neo-bert",
    "nomic-bert",
    "nomic-bert-moe",
}
"""Architectures of which no model writes text."""

WITHOUT_MEMORY = _ENCODERS - {"llama-embed"}
"""Architectures of which llama.cpp keeps no keys and values."""

POOLING = {1: "mean", 2: "cls", 3: "lasttoken"}
"""``pooling_type`` → the word of sentence-transformers (llama.cpp's enum llama_pooling_type)."""
RANK = 4
_OUTPUT, _DENSE_HEAD = "cls.output.weight", "cls.weight"
_GEMMA_DENSE = {"dense_2.weight", "dense_3.weight"}
_WITH_YES_AND_NO = {"qwen3", "qwen3vl"}
"""Architectures whose heads have two rows, of which llama.cpp makes probabilities."""


def pooling_number(word: str) -> int:
    """llama.cpp's number of a pooling."""
    return next(number for number, one in POOLING.items() if one == word)


@dataclass(frozen=True, slots=True)
class EncoderHeader:
    """What a header says of an encoder. ``names`` are all that the model is called."""

    header: Header
    names: tuple[str, ...]

    @classmethod
    def of(cls, header: Header, file_name: str) -> EncoderHeader:
        """Look at the header of a file of that name."""
        keys = ("general.name", "general.basename", "general.finetune")
        named = (text(header.metadata, key) for key in keys)
        return cls(header, (*filter(None, named), file_name))

    # ---------------------------------------------------------------- what it is

    @property
    def task(self) -> EncoderTask | None:
        """What the model makes; None for one that writes text."""
        if self._ranks or self._is_named_reranker:
            return "rerank"
        decides = self.architecture in _ENCODERS or self._number("pooling_type") > 0
        heads = any(name.startswith("dense_") for name in self.header.heads)
        return "embedding" if decides or heads or self._is_named_embedder else None

    @property
    def architecture(self) -> str:
        """The name of its architecture."""
        return text(self.header.metadata, "general.architecture")

    @property
    def pooling(self) -> str:
        """How the vectors of tokens become one; empty where nothing says so."""
        known = self._known
        return POOLING.get(self._number("pooling_type"), known.pooling if known else "")

    @property
    def facts(self) -> EncoderFacts:
        """What the card says of it."""
        if self.task == "rerank":
            return EncoderFacts(dimensions=1, causal=self._is_causal)
        known = self._known
        return EncoderFacts(
            dimensions=self._number("embedding_length_out") or self._number("embedding_length"),
            pooling=self.pooling,
            prompts=known.prompts if known else (),
            causal=self._is_causal,
        )

    @property
    def _ranks(self) -> bool:
        if self._number("pooling_type") == RANK or self.header.heads & {_OUTPUT, _DENSE_HEAD}:
            return True
        return self.architecture in _ENCODERS and self._labels > 0

    @property
    def _is_named_reranker(self) -> bool:
        return is_named_reranker(*self.names)

    @property
    def _is_named_embedder(self) -> bool:
        """Whether a decoder is known as an embedder, though its file does not say that it is."""
        known = self._known
        return known is not None and known.pooling == "lasttoken"

    @property
    def _known(self) -> KnownEncoder | None:
        return known_encoder(*self.names)

    @property
    def _labels(self) -> int:
        return self.header.lengths.get(f"{self.architecture}.classifier.output_labels", 0)

    def _number(self, key: str) -> int:
        return number(self.header.metadata, f"{self.architecture}.{key}")

    # ---------------------------------------------------------------- what would be wrong

    def problem(self) -> str | None:
        """Why llama.cpp would compute an encoder wrongly."""
        return self._why_no_scores() if self.task == "rerank" else self._why_no_vectors()

    def _why_no_scores(self) -> str | None:
        heads = self.header.heads
        tokenizer = text(self.header.metadata, "tokenizer.ggml.model")
        if (
            self.architecture == "bert"
            and heads
            and (tokenizer == "bert" or _DENSE_HEAD not in heads)
        ):
            return _BERT_CROSS_ENCODER
        if _OUTPUT not in heads:
            return _NO_HEAD
        rows = 2 if self.architecture in _WITH_YES_AND_NO else 1
        if rows == 2 and self._labels < rows:
            return _NO_HEAD
        if max(self._labels, 1) != rows:
            return f"It sorts texts into {max(self._labels, 1)} classes, so it ranks none."
        return None

    def _why_no_vectors(self) -> str | None:
        if self.architecture == "jina-bert-v3":
            return _ADAPTERS
        if self.architecture == "gemma-embedding" and not self.header.heads >= _GEMMA_DENSE:
            return _NO_DENSE
        if any("gte-qwen2" in name.lower() for name in self.names) and self._is_causal:
            return _CAUSAL
        return None if self.pooling else _NO_POOLING

    @property
    def _is_causal(self) -> bool:
        stated = self.header.metadata.get(f"{self.architecture}.attention.causal")
        return self.architecture not in _ENCODERS and stated is not False


_ELSEWHERE = "take its ONNX or Hugging Face files"
_BERT_CROSS_ENCODER = (
    "It is a reranker of the BERT kind. llama.cpp computes these without their token types and "
    f"their pooler, so it would rank wrongly: {_ELSEWHERE}."
)
_NO_HEAD = (
    "It is a reranker without its head (cls.output), so all its scores would be noise: take a GGUF "
    "file that was converted as a reranker."
)
_NO_DENSE = (
    "Its last layers (dense_2 and dense_3) are missing, so its vectors would be wrong: take a GGUF "
    "file that was converted with --sentence-transformers-dense-modules."
)
_ADAPTERS = "It needs an adapter for each task, which no engine here applies."
_CAUSAL = (
    "It looks at the text after each token too, which its GGUF file does not say, so its vectors "
    "would be wrong."
)
_NO_POOLING = (
    "It does not say how the vectors of its tokens become one (pooling_type), and a guess would "
    f"make wrong vectors: convert it again, or {_ELSEWHERE}."
)
