"""How alike vectors are, and how likely texts describe images."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from app.provider.card import EncoderFacts

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Matrix = NDArray[np.float64]


def cosines(rows: Sequence[bytes], columns: Sequence[bytes]) -> Matrix:
    """The cosine of each of ``rows`` with each of ``columns``, from -1 to 1."""
    import numpy as np  # noqa: PLC0415 - most servers never need it

    found: Matrix = _units(rows) @ _units(columns).T
    return np.clip(found, -1.0, 1.0)


def _units(vectors: Sequence[bytes]) -> Matrix:
    import numpy as np  # noqa: PLC0415 - most servers never need it

    numbers = np.frombuffer(b"".join(vectors), "<f4").astype(np.float64)
    matrix = numbers.reshape(len(vectors), -1)
    lengths = np.linalg.norm(matrix, axis=1, keepdims=True)
    return matrix / np.where(lengths > 0, lengths, 1.0)


def likeness(cosine: Matrix) -> Matrix:
    """From 0 to 1: what points in opposite directions is not alike, and no more than that."""
    import numpy as np  # noqa: PLC0415 - most servers never need it

    return np.maximum(cosine, 0.0)


def probabilities(cosine: Matrix, facts: EncoderFacts) -> Matrix | None:
    """Of each text for each image, with the model's own scale and bias; None: not known.

    ``cosine`` has a row for each image.
    """
    import numpy as np  # noqa: PLC0415 - most servers never need it

    if not (facts.pairing and facts.scale):
        return None
    logits = cosine * facts.scale + facts.bias
    if facts.pairing == "sigmoid":
        each: Matrix = np.exp(-np.logaddexp(0.0, -logits))
        return each
    powers: Matrix = np.exp(logits - logits.max(axis=1, keepdims=True))
    shares: Matrix = powers / powers.sum(axis=1, keepdims=True)
    return shares
