"""The ONNX engine: a graph in onnxruntime behind the shared scheduler.

Where that cannot be, one of onnxruntime-genai's engines takes the model.
"""

from __future__ import annotations

import importlib
import logging
from collections.abc import Callable
from pathlib import Path
from typing import cast

from app.provider.engine import Engine, EngineInfo, EngineSpec
from app.provider.engines.onnx import providers
from app.provider.engines.onnx.graph import Graph
from app.provider.engines.onnx.runner import OnnxRunner, OnnxSequence
from app.provider.engines.onnx.settings import FILE, Settings, read_settings
from app.provider.errors import ModelNotLoadable
from app.provider.generation.batched_engine import BatchedEngine
from app.provider.generation.chat_template import ChatTemplate
from app.provider.generation.context_plan import ContextPlan
from app.provider.generation.prompt_builder import PromptBuilder
from app.provider.generation.tokenizer import HubTokenizer

log = logging.getLogger(__name__)


class OnnxEngine(BatchedEngine[OnnxSequence]):
    """Raises ModelNotLoadable when the folder is unusable."""

    def __init__(
        self,
        spec: EngineSpec,
        settings: Settings,
        provider: str,
        progress: Callable[[int], None],
    ) -> None:
        limits = spec.limits
        vocabulary = HubTokenizer(Path(spec.path), settings.ends)
        prompts = PromptBuilder(vocabulary, ChatTemplate(vocabulary))
        progress(10)
        graph = Graph(settings, provider, limits.threads)
        progress(90)
        plan = ContextPlan.of(settings.context_length, graph.cell_bytes, limits)
        super().__init__(
            OnnxRunner(graph, settings, plan, limits),
            EngineInfo(limits.slots, plan.length),
            limits.default_max_tokens,
            prompts,
        )


def build(spec: EngineSpec, progress: Callable[[int], None]) -> Engine:
    """Build ``OnnxEngine`` where keys and values are in RAM, ``PagedEngine`` where not.

    Vision models have an engine of their own, and so have encoders.
    """
    folder = Path(spec.path)
    if (folder / "config.json").exists() and not (folder / FILE).exists():
        module = importlib.import_module("app.provider.engines.onnx.encoder.engine")
        return cast("Engine", module.build(spec, progress))
    settings = read_settings(folder)
    if settings.embedded:
        return _build_vision(spec, settings, progress)
    *others, last = providers.usable(spec.limits.onnx_providers, paged=settings.paged)
    for provider in others:
        try:
            return _build(spec, settings, provider, progress)
        except ModelNotLoadable as error:
            log.warning("%s does not work here, trying the next one: %s", provider, error)
    return _build(spec, settings, last, progress)


def _build_vision(spec: EngineSpec, settings: Settings, progress: Callable[[int], None]) -> Engine:
    if "cpu" not in spec.limits.onnx_providers:
        raise ModelNotLoadable("Pictures are only seen on the CPU: add cpu to ONNX_PROVIDERS.")
    module = importlib.import_module("app.provider.engines.onnx.genai.vision_engine")
    return cast("Engine", module.VisionEngine(spec, settings, progress))


def _build(
    spec: EngineSpec, settings: Settings, provider: str, progress: Callable[[int], None]
) -> Engine:
    if provider in providers.IN_RAM and not settings.paged:
        return OnnxEngine(spec, settings, provider, progress)
    # Imported only here: the library takes memory that OnnxEngine does without.
    module = importlib.import_module("app.provider.engines.onnx.genai.engine")
    return cast("Engine", module.PagedEngine(spec, settings, provider, progress))
