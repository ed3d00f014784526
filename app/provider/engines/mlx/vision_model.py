"""A vision model with the interface of a text model: tokens in, logits out."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import mlx.core as mx
import numpy as np

from app.provider.architectures.qwen_vl import SETTINGS, Scaling
from app.provider.architectures.qwen_vl_pixels import patches
from app.provider.engines.mlx import vlm
from app.provider.engines.mlx.model import MlxModel, load, settings
from app.provider.engines.mlx.mrope_positions import TEXT, MropePositions, PromptLayout
from app.provider.engines.mlx.vision_tower import VisionTower
from app.provider.errors import ModelNotLoadable
from app.provider.generation.image_encoder import ImageFeatures
from app.provider.generation.prepared_prompt import PreparedPrompt
from app.provider.headers.files import optional_json


class VisionModel(MlxModel):
    """An MlxModel that takes images. The last cache of a sequence is its ``MropePositions``.

    ``scaling`` is for one frame, because ``vision_tower`` computes one.
    """

    def __init__(self, folder: Path, config: dict[str, Any]) -> None:
        self.scaling = replace(Scaling.of(optional_json(folder / SETTINGS)), frames=1)
        super().__init__(*vlm.load(folder, config))
        self.vision_tower = VisionTower(self._model)
        self._check_vision_tower()

    def __call__(self, tokens: mx.array, cache: list[Any]) -> mx.array:
        """Compute as MlxModel does; image tokens are negative, and their features are used."""
        *layers, mrope = cache
        language, columns = self._model.language_model, tokens.shape[1]
        embeds = language.model.embed_tokens(mx.maximum(tokens, 0))
        for row, where, features in mrope.images(columns):
            embeds[row, where] = features.astype(embeds.dtype)
        positions = mrope.positions(columns)
        hidden = language.model(tokens, inputs_embeds=embeds, cache=layers, position_ids=positions)
        mrope.advance(columns)
        tied = language.args.tie_word_embeddings
        head = language.model.embed_tokens.as_linear if tied else language.lm_head
        logits: mx.array = head(hidden)
        return logits.astype(mx.float32)

    def batch_cache(
        self,
        cache: list[Any],
        prompt: PreparedPrompt,
        done: int,
        images: Sequence[ImageFeatures[mx.array]],
    ) -> list[Any]:
        """Add the positions of the prompt."""
        layout = PromptLayout.of(prompt, images, self.scaling.side) if prompt.images else TEXT
        return [*cache, MropePositions([layout], [done])]

    def sequence_cache(self, cache: list[Any]) -> list[Any]:
        """Leave the positions out."""
        return cache[:-1]

    def _check_vision_tower(self) -> None:
        """Encode a black image, so that a model that cannot is refused now."""
        black = np.zeros((self.scaling.side, self.scaling.side, 3), np.uint8)
        try:
            deque(self.vision_tower.encode(patches(black, self.scaling), 1, 1), maxlen=0)
        except ValueError as error:
            raise ModelNotLoadable(f"mlx-vlm cannot look at pictures: {error}") from error


def open_model(folder: Path) -> MlxModel:
    """Open a folder, as a vision model where its files say so; raises ModelNotLoadable."""
    config = settings(folder)
    if vlm.takes_images(config):
        return VisionModel(folder, config)
    return MlxModel(*load(folder, config))
