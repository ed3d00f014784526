"""A model that is shown pictures, as the batch sees it: tokens in, logits out."""

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
from app.provider.engines.mlx.mrope_positions import TEXT, Layout, Places, Seen
from app.provider.engines.mlx.vision_tower import Tower
from app.provider.errors import ModelNotLoadable
from app.provider.generation.prepared_prompt import PreparedPrompt
from app.provider.headers.files import optional_json


class SeeingModel(MlxModel):
    """See MlxModel. The last of the caches of a sequence is its ``Places``.

    ``scaling`` is of one frame, as ``tower`` wants it.
    """

    def __init__(self, folder: Path, config: dict[str, Any]) -> None:
        self.scaling = replace(Scaling.of(optional_json(folder / SETTINGS)), frames=1)
        super().__init__(*vlm.load(folder, config))
        self.tower = Tower(self._model)
        self._try_tower()

    def __call__(self, tokens: mx.array, cache: list[Any]) -> mx.array:
        """See MlxModel; where a picture is, tokens are negative and its features count."""
        *layers, places = cache
        language, columns = self._model.language_model, tokens.shape[1]
        read = language.model.embed_tokens(mx.maximum(tokens, 0))
        for row, where, features in places.pictures(columns):
            read[row, where] = features.astype(read.dtype)
        positions = places.positions(columns)
        hidden = language.model(tokens, inputs_embeds=read, cache=layers, position_ids=positions)
        places.advance(columns)
        tied = language.args.tie_word_embeddings
        head = language.model.embed_tokens.as_linear if tied else language.lm_head
        logits: mx.array = head(hidden)
        return logits.astype(mx.float32)

    def placed(
        self, cache: list[Any], prompt: PreparedPrompt, done: int, pictures: Sequence[Seen]
    ) -> list[Any]:
        """See MlxModel."""
        layout = Layout.of(prompt, pictures, self.scaling.side) if prompt.images else TEXT
        return [*cache, Places([layout], [done])]

    def computed(self, cache: list[Any]) -> list[Any]:
        """See MlxModel."""
        return cache[:-1]

    def _try_tower(self) -> None:
        """Look at a black picture, so that a model that cannot is known now."""
        black = np.zeros((self.scaling.side, self.scaling.side, 3), np.uint8)
        try:
            deque(self.tower.look(patches(black, self.scaling), 1, 1), maxlen=0)
        except ValueError as error:
            raise ModelNotLoadable(f"mlx-vlm cannot look at pictures: {error}") from error


def opened(folder: Path) -> MlxModel:
    """The model of a folder, one that sees where its files say so; raises ModelNotLoadable."""
    config = settings(folder)
    return SeeingModel(folder, config) if vlm.sees(config) else MlxModel(*load(folder, config))
