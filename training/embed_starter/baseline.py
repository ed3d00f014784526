"""What the network has to beat: hashed character n-grams, weighted by how rare they are."""

import math
import zlib
from collections import Counter
from collections.abc import Iterable

import numpy as np

LENGTHS = (2, 3, 4)  # letters of an n-gram
BUCKETS = 1 << 15


def ngrams(text: str) -> Counter[int]:
    """Count the n-grams of a text, of each word between two blanks, by their hash."""
    words = [f" {word} " for word in text.casefold().split()]
    return Counter(
        zlib.crc32(word[at : at + length].encode()) % BUCKETS
        for word in words
        for length in LENGTHS
        for at in range(len(word) - length + 1)
    )


class Baseline:
    """Vectors of n-grams; the rarer in a collection of texts, the more one counts."""

    def __init__(self, collection: Iterable[str]) -> None:
        texts = [set(ngrams(text)) for text in collection]
        seen = Counter(gram for grams in texts for gram in grams)
        self._rare = {gram: math.log((1 + len(texts)) / (1 + n)) + 1 for gram, n in seen.items()}
        self._unseen = math.log(1 + len(texts)) + 1

    def __call__(self, texts: list[str]) -> np.ndarray:
        """Return vectors [texts, buckets] of length one."""
        vectors = np.zeros((len(texts), BUCKETS), np.float32)
        for row, text in zip(vectors, texts, strict=True):
            for gram, count in ngrams(text).items():
                row[gram] = (1 + math.log(count)) * self._rare.get(gram, self._unseen)
        lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
        unit: np.ndarray = vectors / np.maximum(lengths, 1e-9)
        return unit
