"""What an engine must be able to do for the encoder engine: prepare items and compute batches."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from app.provider.types import ImagePart, PairPart, TextPart, TokensPart

EncodePart = TextPart | TokensPart | PairPart | ImagePart


@dataclass(frozen=True, slots=True, eq=False)
class EncoderItem:
    """One item, ready for a forward pass.

    ``tokens`` have the special tokens of the model and no padding; ``token_types`` tell the two
    texts of a pair apart, where the model wants that. The first ``prompt_tokens`` belong to the
    prompt, for models that leave them out of the pooling. ``pixels`` [3, height, width] are an
    image as the model takes it, float32, in place of tokens. ``truncated``: a part was cut off.
    ``cost`` counts as so many tokens in a batch.
    """

    tokens: tuple[int, ...] = ()
    token_types: tuple[int, ...] = ()
    prompt_tokens: int = 0
    pixels: NDArray[np.float32] | None = None
    truncated: bool = False
    cost: int = 0


class EncoderRunner(Protocol):
    """A model that encodes. ``prepare`` may be called from any thread, all else from one.

    ``EncoderEngine`` makes an engine of it. What a batch holds is bounded by its ``BatchLimits``.
    """

    max_tokens: int
    """Of one item."""
    dimensions: int
    """Numbers of a vector; 1 for a score."""

    def prepare(self, part: EncodePart, *, index: int, prompt: str, truncate: bool) -> EncoderItem:
        """Tokenise a text or pair, or scale an image; ``index`` is its number in the job.

        Raises InputTooLong unless ``truncate``, and UnsupportedInput for what the model does not
        take.
        """

    def forward(self, batch: Sequence[EncoderItem]) -> NDArray[np.float32]:
        """One forward pass: vectors [items, dimensions], pooled but of any length, or logits.

        The batch holds either tokens or images, and these of one shape.
        """

    def set_threads(self, threads: int) -> None:
        """Use that many CPU threads from the next pass on."""

    def close(self) -> None:
        """Free everything."""
