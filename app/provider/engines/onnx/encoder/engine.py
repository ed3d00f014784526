"""Builds the engine of an encoder: its graphs on the first execution provider that loads them."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from app.provider.encoding.engine import EncoderEngine
from app.provider.encoding.folders.folder import read_encoder_settings
from app.provider.encoding.folders.graphs import find_graphs
from app.provider.encoding.folders.settings import EncoderSettings
from app.provider.engine import EngineLimits, EngineSpec
from app.provider.engines.onnx import providers
from app.provider.engines.onnx.encoder.runner import OnnxEncoder
from app.provider.engines.onnx.encoder.session import Session, keep_freed_memory
from app.provider.errors import ModelNotLoadable

log = logging.getLogger(__name__)


def build(spec: EngineSpec, progress: Callable[[int], None]) -> EncoderEngine:
    """Build the engine of a folder; raises ModelNotLoadable."""
    keep_freed_memory()
    progress(0)
    runner = load_runner(Path(spec.path), spec.limits)
    progress(100)
    return EncoderEngine(runner, spec.limits.slots, layer_norm=runner.layer_norm)


def load_runner(root: Path, limits: EngineLimits) -> OnnxEncoder:
    """Load the graphs of a folder; raises ModelNotLoadable."""
    settings = limited(read_encoder_settings(root), limits)
    files = find_graphs(root).chosen(settings.kind)
    if not files:
        raise ModelNotLoadable("The folder has no ONNX graph of an encoder.")
    return OnnxEncoder(settings, _load(files, limits))


def limited(settings: EncoderSettings, limits: EngineLimits) -> EncoderSettings:
    """With no more tokens than CONTEXT_LENGTH allows; SigLIP's texts have one length."""
    text, most = settings.text, limits.context_length
    if text is None or text.pad_to or not 0 < most < text.max_tokens:
        return settings
    return replace(settings, text=replace(text, max_tokens=most))


def _load(files: tuple[Path, ...], limits: EngineLimits) -> list[Session]:
    """Load all graphs on one provider."""
    *others, last = providers.installed(limits.onnx_providers)
    for provider in others:
        try:
            return [Session(path, provider, limits.threads) for path in files]
        except ModelNotLoadable as error:
            log.warning("%s does not work here, trying the next one: %s", provider, error)
    return [Session(path, last, limits.threads) for path in files]
