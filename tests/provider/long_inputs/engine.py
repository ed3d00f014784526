"""Every text has 8,192 tokens; its vector is its own number."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from app.provider.encoding.engine import EncoderEngine
from app.provider.encoding.runner import EncodePart, EncoderItem
from app.provider.engine import EngineSpec

TOKENS = 8192
BUSY = "busy"
"""A path of this name makes passes of so many seconds that compute without a pause."""

BUSY_SECONDS = 45.0


class LongRunner:
    max_tokens = TOKENS
    dimensions = 2

    def __init__(self, *, busy: bool) -> None:
        self._busy = busy

    def prepare(self, part: EncodePart, *, index: int, prompt: str, truncate: bool) -> EncoderItem:
        return EncoderItem(tuple(range(1000 + index, 1000 + index + TOKENS)))

    def forward(self, batch: Sequence[EncoderItem]) -> NDArray[np.float32]:
        end = time.monotonic() + BUSY_SECONDS
        while self._busy and time.monotonic() < end:
            pass
        return np.asarray([[item.tokens[0] - 1000, 1] for item in batch], np.float32)

    def set_threads(self, threads: int) -> None: ...

    def close(self) -> None: ...


def build(spec: EngineSpec, progress: Callable[[int], None]) -> EncoderEngine:
    progress(100)
    return EncoderEngine(LongRunner(busy=spec.path == BUSY), spec.limits.slots)
