"""ONNX's encoder, which keeps no freed memory: up to 64 MiB of it, by chance, would be measured."""

from __future__ import annotations

import ctypes
from collections.abc import Callable

from app.provider.encoding.engine import EncoderEngine
from app.provider.engine import EngineSpec, Events
from app.provider.engines.onnx.encoder import engine as onnx

_trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
"""Only glibc has it."""


def build(spec: EngineSpec, progress: Callable[[int], None]) -> EncoderEngine:
    engine = onnx.build(spec, progress)
    step = engine.step

    def step_and_trim() -> Events:
        events = step()
        if _trim:
            _trim(0)
        return events

    engine.step = step_and_trim  # type: ignore[method-assign]
    return engine
