"""The PyTorch engine: a Hugging Face folder in transformers behind the shared scheduler.

It serves any decoder that transformers knows, and images for Qwen2.5-VL and HyperCLOVA X. Images
are encoded between steps. Encoders have an engine of their own (``encoder.engine``).
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import torch

from app.provider.encoding.engine import EncoderEngine
from app.provider.encoding.folders.folder import holds_encoder
from app.provider.engine import EngineInfo, EngineSpec
from app.provider.engines.pytorch.cache import KvCache
from app.provider.engines.pytorch.encoder.engine import build_encoder
from app.provider.engines.pytorch.families import load
from app.provider.engines.pytorch.resumable import ResumableTask
from app.provider.engines.pytorch.runner import PytorchRunner, PytorchSequence
from app.provider.engines.pytorch.vision_towers import VisionTower
from app.provider.generation.batched_engine import BatchedEngine
from app.provider.generation.context_plan import ContextPlan
from app.provider.generation.image_encoder import ImageEncoder
from app.provider.generation.prefix_cache import PrefixStore
from app.provider.generation.prepared_prompt import ImageSize
from app.provider.generation.prompt_builder import PromptBuilder
from app.provider.types import ImagePart


class PytorchEngine(BatchedEngine[PytorchSequence]):
    """Raises ModelNotLoadable when the folder cannot be used."""

    def __init__(self, spec: EngineSpec, progress: Callable[[int], None]) -> None:
        limits = spec.limits
        torch.set_num_threads(max(1, limits.threads))
        self._model = model = load(Path(spec.path), limits, progress)
        progress(90)
        cache = KvCache()
        model.decoder.compute(
            torch.zeros(1, 1, dtype=torch.long), model.decoder.counted(0, 1), cache
        )
        plan = ContextPlan.of(model.decoder.trained_context, cache.bytes_per_token, limits)
        tower = model.vision_tower
        images = TowerImageEncoder(tower, limits.vision_cache_bytes) if tower else None
        store: PrefixStore[KvCache] = PrefixStore(limits.prefix_cache_bytes)
        super().__init__(
            PytorchRunner(model, plan.cells, store, cache),
            EngineInfo(limits.slots, plan.length),
            limits.default_max_tokens,
            PromptBuilder(model.vocabulary, model.chat, images),
            images,
        )
        progress(100)


class TowerImageEncoder(ImageEncoder[torch.Tensor]):
    """Encodes images with a vision tower and keeps the features in RAM."""

    def __init__(self, tower: VisionTower, cache_bytes: int) -> None:
        super().__init__(
            lambda image: ResumableTask(lambda: tower.encode(image.part, image.size).cpu()),
            cache_bytes,
        )
        self._tower = tower

    def measure(self, part: ImagePart) -> ImageSize:
        """Size and tokens of an image in a prompt; raises UnsupportedInput."""
        return self._tower.measure(part)


def build(spec: EngineSpec, progress: Callable[[int], None]) -> PytorchEngine | EncoderEngine:
    """The engine of a folder, which holds a model that chats or an encoder."""
    if holds_encoder(Path(spec.path)):
        return build_encoder(spec, progress)
    return PytorchEngine(spec, progress)
