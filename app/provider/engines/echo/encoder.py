"""Deterministic encoders without a model, for tests, demonstrations and load tests.

A token is a hashed word, and the vector of a text the mean of random rows that its tokens choose:
texts that share words are near each other. The score of a pair comes from the cosine of its two
texts. The vector of an image is that of the word for its colour, with a little of its pixels.
"""

from __future__ import annotations

import hashlib
import io
import re
import zlib
from collections.abc import Callable, Sequence
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from app.provider.encoding.engine import EncoderEngine
from app.provider.encoding.runner import EncodePart, EncoderItem
from app.provider.engine import EngineSpec
from app.provider.engines.echo.format import DIMENSIONS, ECHO_CLIP, ECHO_RERANK, ENCODER_TOKENS
from app.provider.errors import InputTooLong, UnsupportedInput
from app.provider.types import ImagePart, PairPart, TextPart, TokensPart

VOCABULARY = 4096
BEGIN = 0
"""The first token of every text."""

COLOURS = ("black", "blue", "green", "cyan", "red", "magenta", "yellow", "white")
"""By their brightness in red, green and blue, as the bits of a number."""

IMAGE_COST = 16
SIDE = 8
"""Pixels of an image, across and down."""

LOGIT_OF_COSINE = 10.0

_WORD = re.compile(r"\w+")
Vector = NDArray[np.float32]


@lru_cache(maxsize=2**16)
def token_of(word: str) -> int:
    """The number of a word."""
    return 1 + zlib.crc32(word.lower().encode("utf-8", "replace")) % (VOCABULARY - 1)


def _table() -> NDArray[np.float32]:
    """A random row for each token."""
    noise = hashlib.shake_128(b"echo").digest(VOCABULARY * DIMENSIONS)
    rows = np.frombuffer(noise, np.int8).astype(np.float32).reshape(VOCABULARY, DIMENSIONS)
    rows /= 128
    rows[BEGIN] /= 16  # what all texts share should not make them alike
    return rows


class EchoRunner:
    """Implements ``EncoderRunner`` without a model: for texts, pairs, or texts and images."""

    max_tokens = ENCODER_TOKENS

    def __init__(self, *, scores: bool = False, images: bool = False) -> None:
        self.dimensions = 1 if scores else DIMENSIONS
        self._images = images
        self._rows = _table()

    def prepare(self, part: EncodePart, *, index: int, prompt: str, truncate: bool) -> EncoderItem:
        """Cut a text or pair into words, or scale an image."""
        if isinstance(part, PairPart) != (self.dimensions == 1):
            wanted = "pairs of texts" if self.dimensions == 1 else "single texts"
            raise UnsupportedInput(f"This model takes {wanted}.")
        if isinstance(part, ImagePart):
            return self._image(part)
        tokens, types = self._tokens(part, prompt)
        if cut := len(tokens) > self.max_tokens:
            if not truncate:
                raise InputTooLong(index, len(tokens), self.max_tokens)
            tokens, types = tokens[: self.max_tokens], types[: self.max_tokens]
        return EncoderItem(tuple(tokens), tuple(types), truncated=cut)

    def _tokens(self, part: EncodePart, prompt: str) -> tuple[list[int], list[int]]:
        """The tokens of one or two texts, and which of the two each belongs to."""
        if isinstance(part, PairPart):
            query, document = _words(part.query), _words(part.document)
            return query + document, [0] * len(query) + [1] * len(document)
        if isinstance(part, TokensPart):
            if wrong := [token for token in part.tokens if not 0 <= token < VOCABULARY]:
                raise UnsupportedInput(f"The model has no token {wrong[0]}.")
            return list(part.tokens), []
        return _words(prompt + part.text if isinstance(part, TextPart) else prompt), []

    def _image(self, part: ImagePart) -> EncoderItem:
        if not self._images:
            raise UnsupportedInput("This model takes texts, not images; echo-clip takes both.")
        with Image.open(io.BytesIO(part.content)) as image:
            small = image.convert("RGB").resize((SIDE, SIDE), Image.Resampling.BOX)
        pixels = np.asarray(small, np.float32).transpose(2, 0, 1) / np.float32(255)
        return EncoderItem(pixels=pixels, cost=IMAGE_COST)

    def forward(self, batch: Sequence[EncoderItem]) -> Vector:
        """The vector or logit of each item."""
        return np.stack([self._forward(item) for item in batch])

    def _forward(self, item: EncoderItem) -> Vector:
        if item.pixels is not None:
            return self._colour(item.pixels)
        rows = self._rows[list(item.tokens)]
        if self.dimensions > 1:
            mean: Vector = rows.mean(axis=0)
            return mean
        second = np.asarray(item.token_types, bool)
        query, document = rows[~second].sum(axis=0), rows[second].sum(axis=0)
        lengths = np.linalg.norm(query) * np.linalg.norm(document)
        cosine = query @ document / max(float(lengths), 1e-6)
        return np.asarray([LOGIT_OF_COSINE * cosine], np.float32)

    def _colour(self, pixels: Vector) -> Vector:
        bright = [int(channel > 0.5) for channel in pixels.mean(axis=(1, 2))]
        colour = COLOURS[4 * bright[0] + 2 * bright[1] + bright[2]]
        detail = np.resize(pixels, DIMENSIONS) - pixels.mean()
        vector: Vector = self._rows[token_of(colour)] + 0.1 * detail.astype(np.float32)
        return vector

    def set_threads(self, threads: int) -> None:
        """Nothing to do: it needs no thread of its own."""

    def close(self) -> None:
        """Nothing to free."""


def _words(text: str) -> list[int]:
    return [BEGIN, *map(token_of, _WORD.findall(text))]


def build(spec: EngineSpec, progress: Callable[[int], None]) -> EncoderEngine:
    """Build the encoder that the path names."""
    progress(100)
    runner = EchoRunner(
        scores=spec.path == str(ECHO_RERANK.path), images=spec.path == str(ECHO_CLIP.path)
    )
    return EncoderEngine(runner, spec.limits.slots)
