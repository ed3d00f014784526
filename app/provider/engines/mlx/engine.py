"""The MLX engine: mlx-lm behind the shared scheduler.

It serves MLX folders, and Hugging Face folders of an architecture that mlx-lm knows. On Apple
silicon the GPU computes; elsewhere MLX uses one CPU thread, however many it may use.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from pathlib import Path

import mlx.core as mx

from app.provider.architectures.qwen_vl import IMAGE_TEXT
from app.provider.engine import EngineInfo, EngineLimits, EngineSpec
from app.provider.engines.mlx.format import buffer_bytes
from app.provider.engines.mlx.image_encoder import MlxImageEncoder
from app.provider.engines.mlx.model import MlxModel
from app.provider.engines.mlx.runner import Cache, MlxRunner, MlxSequence
from app.provider.engines.mlx.vision_model import VisionModel, open_model
from app.provider.generation.batched_engine import BatchedEngine
from app.provider.generation.chat_template import ChatTemplate
from app.provider.generation.context_plan import ContextPlan
from app.provider.generation.prefix_cache import PrefixStore
from app.provider.generation.prompt_builder import PromptBuilder
from app.provider.generation.tokenizer import HubTokenizer

log = logging.getLogger(__name__)


class MlxEngine(BatchedEngine[MlxSequence]):
    """Raises ModelNotLoadable when the folder cannot be used."""

    def __init__(self, spec: EngineSpec, progress: Callable[[int], None]) -> None:
        limits, folder = spec.limits, Path(spec.path)
        vocabulary = HubTokenizer(folder)
        progress(0)
        model = open_model(folder)
        images = _image_encoder(model, limits)
        chat = ChatTemplate(vocabulary, IMAGE_TEXT if images else "")
        mx.set_cache_limit(buffer_bytes(model.size))
        mx.clear_cache()
        progress(100)
        plan = _plan(model, limits)
        super().__init__(
            _runner(model, limits, plan),
            EngineInfo(limits.slots, plan.length),
            limits.default_max_tokens,
            PromptBuilder(vocabulary, chat, images),
            images,
        )


def _runner(model: MlxModel, limits: EngineLimits, plan: ContextPlan) -> MlxRunner:
    store: PrefixStore[Cache] = PrefixStore(limits.prefix_cache_bytes, whole_only=model.stateful)
    return MlxRunner(model, store, slots=limits.slots, cells=plan.cells)


def _image_encoder(model: MlxModel, limits: EngineLimits) -> MlxImageEncoder | None:
    """The image encoder of a vision model; None for others."""
    if not isinstance(model, VisionModel):
        return None
    scaling = model.scaling.limited(limits.image_tokens)
    return MlxImageEncoder(model.vision_tower, scaling, limits.vision_cache_bytes)


def _plan(model: MlxModel, limits: EngineLimits) -> ContextPlan:
    """The context within the bytes that rows of a fixed size leave."""
    kv_bytes = limits.kv_cache_bytes - limits.slots * model.bytes_per_row
    plan = ContextPlan.of(model.trained_context, model.bytes_per_token, limits, kv_bytes)
    if limits.context_length > plan.trained:
        log.warning("the model was trained for %d tokens of context", plan.trained)
    return plan


build = MlxEngine
