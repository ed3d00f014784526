"""Builds the engine of an encoder's folder."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from app.provider.encoding.batch import CPU_LIMITS, BatchLimits
from app.provider.encoding.engine import EncoderEngine
from app.provider.encoding.folders.folder import read_encoder_settings
from app.provider.engine import EngineSpec
from app.provider.engines.pytorch.encoder.check import check
from app.provider.engines.pytorch.encoder.runner import PytorchEncoderRunner

_GPU_BATCH = BatchLimits(tokens=16384)
"""A GPU is idle for most of a forward pass of what keeps CPUs busy."""


def build_encoder(spec: EngineSpec, progress: Callable[[int], None]) -> EncoderEngine:
    """Load a folder; raises ModelNotLoadable."""
    settings = read_encoder_settings(Path(spec.path))
    progress(0)
    runner = PytorchEncoderRunner(settings, spec.limits)
    progress(90)
    check(runner, settings)
    progress(100)
    return EncoderEngine(
        runner,
        spec.limits.slots,
        CPU_LIMITS if runner.device.type == "cpu" else _GPU_BATCH,
        layer_norm=settings.layer_norm_before_cut,
    )
