"""The GGUF engine: a language model in llama.cpp behind the shared scheduler, or an encoder."""

from __future__ import annotations

import logging
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from app.provider.engine import Engine, EngineInfo, EngineSpec
from app.provider.engines.gguf.cache_streams import StreamCache
from app.provider.engines.gguf.cache_unified import UnifiedCache
from app.provider.engines.gguf.context import LlamaContext
from app.provider.engines.gguf.context_cells import ContextLayout
from app.provider.engines.gguf.mmproj import find_mmproj_of
from app.provider.engines.gguf.model import LlamaModel
from app.provider.engines.gguf.model_card import describe
from app.provider.engines.gguf.runner import GgufRunner, GgufSequence
from app.provider.generation.batched_engine import BatchedEngine
from app.provider.generation.chat_template import ChatTemplate
from app.provider.generation.context_plan import ContextPlan
from app.provider.generation.prompt_builder import PromptBuilder

log = logging.getLogger(__name__)

if TYPE_CHECKING:
    from app.provider.engines.gguf.image_encoder import MtmdImageEncoder


class GgufEngine(BatchedEngine[GgufSequence]):
    """Raises ModelNotLoadable when the file or its template is unusable."""

    def __init__(self, spec: EngineSpec, progress: Callable[[int], None]) -> None:
        limits = spec.limits
        self._model = model = LlamaModel(spec.path, limits.gpu_layers, progress)
        chat = ChatTemplate(model.vocabulary)
        if limits.context_length > model.trained_context:
            log.warning("the model was trained for %d tokens", model.trained_context)
        plan = ContextPlan.of(model.trained_context, model.bytes_per_cell(), limits)
        images = _image_encoder(model, spec, plan.length)
        super().__init__(
            _runner(model, spec, plan, images),
            EngineInfo(limits.slots, plan.length),
            limits.default_max_tokens,
            PromptBuilder(model.vocabulary, chat, images),
            images,
        )

    def close(self) -> None:
        """Free the context and the weights."""
        super().close()
        self._model.close()


def _runner(
    model: LlamaModel, spec: EngineSpec, plan: ContextPlan, images: MtmdImageEncoder | None
) -> GgufRunner:
    limits = spec.limits
    layout = ContextLayout.of(plan, limits.slots)
    log.info("keys and values: %s", layout)
    context = LlamaContext(model, layout, threads=limits.threads)
    context.warm_up()
    kind = StreamCache if layout.streams else UnifiedCache
    cache = kind(context, layout, parked_bytes=limits.prefix_cache_bytes, whole_only=model.stateful)
    return GgufRunner(context, cache, model.vocabulary.size, images)


def _image_encoder(
    model: LlamaModel, spec: EngineSpec, context_length: int
) -> MtmdImageEncoder | None:
    """The image encoder of a model with an mmproj file beside it; None for others."""
    mmproj = find_mmproj_of(Path(spec.path))
    if mmproj is None:
        return None
    from app.provider.engines.gguf.image_encoder import MtmdImageEncoder  # noqa: PLC0415 libmtmd, which few models need
    from app.provider.engines.gguf.mtmd import Projector  # noqa: PLC0415

    projector = Projector(model, mmproj, spec.limits, context_length)
    return MtmdImageEncoder(projector, spec.limits.vision_cache_bytes)


def build(spec: EngineSpec, progress: Callable[[int], None]) -> Engine:
    """Build the engine of a language model or of an encoder."""
    card = describe(Path(spec.path))
    if card is None or card.encoder is None:
        return GgufEngine(spec, progress)
    from app.provider.engines.gguf.encoder.engine import GgufEncoderEngine  # noqa: PLC0415 only encoders need it

    return GgufEncoderEngine(card, spec, progress)
