"""Runs a causal language model of transformers on tokens or embeddings with our KV cache.

Masks and positions are always passed in full, so that rows of different lengths can be computed
together. Loading a model checks whether its architecture supports that.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import torch
from torch import nn

from app.provider.engines.pytorch.cache import KvCache
from app.provider.engines.pytorch.pretrained import reason
from app.provider.errors import ModelNotLoadable
from app.provider.generation.output_stream import NO_NUMBERS

_PROBE_TOKENS = 6
"""Tokens that the check computes at once and in pieces."""

_TOLERANCE = {torch.float32: 1e-3, torch.bfloat16: 0.1, torch.float16: 0.02}
"""How far the logits of both ways may be apart, relative to the largest one."""


class Decoder:
    """``model`` with its head; raises ModelNotLoadable when it cannot be batched here.

    A position is ``axes`` numbers. ``dtype`` is that of the embeddings.
    """

    def __init__(self, model: Any, axes: int = 1) -> None:
        self._model = model
        self._axes = axes
        self._embeddings: nn.Embedding = model.get_input_embeddings()
        self.dtype: torch.dtype = self._embeddings.weight.dtype
        config = model.config.get_text_config()
        self._window = _window(config)
        self._kinds = set(getattr(config, "layer_types", None) or ())
        self.trained_context: int = getattr(config, "max_position_embeddings", 0) or 0
        self.vocabulary: int = self._embeddings.num_embeddings
        if odd := self._kinds - {"full_attention", "sliding_attention"}:
            raise ModelNotLoadable(f"Layers of {min(odd)} are not computed by this engine.")
        self._check()

    @torch.inference_mode()
    def compute(self, given: torch.Tensor, positions: torch.Tensor, cache: KvCache) -> torch.Tensor:
        """Logits ``[rows, vocabulary]`` in float32 after the last token; extends ``cache``.

        ``given`` are tokens ``[rows, n]`` or input rows ``[rows, n, hidden]``, ``positions``
        ``[axes, rows, n]``.
        """
        name = "input_ids" if given.ndim == 2 else "inputs_embeds"
        device = self._embeddings.weight.device
        logits = self._model(
            **{name: given.to(device)},
            position_ids=(positions if self._axes > 1 else positions[0]).to(device),
            attention_mask=self._masks(cache.lengths, given.shape[1]),
            past_key_values=cache,
            use_cache=True,
            logits_to_keep=1,
        ).logits
        cache.advance(given.shape[1])
        found: torch.Tensor = logits[:, -1].float().cpu()
        return found

    @torch.inference_mode()
    def rows(self, tokens: torch.Tensor) -> torch.Tensor:
        """Embeddings ``[n, hidden]`` of tokens."""
        found: torch.Tensor = self._embeddings(tokens.to(self._embeddings.weight.device))
        return found

    def _masks(self, lengths: Sequence[int], count: int) -> Any:
        """The attention mask ``[rows, 1, n, longest]``, or one for each kind of layer."""
        whole = self._mask(lengths, count, 0)
        if not self._window:
            return whole
        near = self._mask(lengths, count, self._window)
        if "sliding_attention" in self._kinds:
            return {"full_attention": whole, "sliding_attention": near}
        return whole if self._kinds else near

    def _mask(self, lengths: Sequence[int], count: int, window: int) -> torch.Tensor:
        device = self._embeddings.weight.device
        keys = torch.arange(max(lengths) + count, device=device)
        start = torch.tensor(list(lengths), device=device)
        queries = (start[:, None] + torch.arange(count, device=device))[:, None, :, None]
        hidden = keys > queries
        if window:
            hidden = hidden | (keys <= queries - window)
        mask = torch.zeros(hidden.shape, dtype=self.dtype, device=device)
        return mask.masked_fill_(hidden, torch.finfo(self.dtype).min)

    # ---------------------------------------------------------------- the check

    def _check(self) -> None:
        """Compute tokens at once, and in pieces beside another row; compare the logits."""
        try:
            once, pieces = self._probe()
        except Exception as error:  # whatever its code for the architecture stumbles over
            raise ModelNotLoadable(f"The model cannot be computed: {reason(error)}") from error
        largest = float(once.abs().max())
        if not math.isfinite(largest):
            raise ModelNotLoadable(NO_NUMBERS)
        apart = float((once - pieces).abs().max())
        if not apart <= _TOLERANCE[self.dtype] * max(largest, 1e-6):
            raise ModelNotLoadable(
                "transformers computes this architecture in a way that cannot be batched here."
            )

    def _probe(self) -> tuple[torch.Tensor, torch.Tensor]:
        tokens = torch.arange(_PROBE_TOKENS)[None] % self.vocabulary
        once = self.compute(tokens, self.counted(0, _PROBE_TOKENS), KvCache())
        cache = KvCache()
        self.compute(tokens[:, :2], self.counted(0, 2), cache)
        self.compute(tokens[:, 2:4], self.counted(2, 2), cache)
        other = KvCache()
        self.compute(tokens[:, :1], self.counted(0, 1), other)
        both = cache.join(other)
        for at in (4, 5):
            positions = torch.cat([self.counted(at, 1), self.counted(at - 3, 1)], dim=1)
            second = self.compute(tokens[0, [at, at - 3]][:, None], positions, both)
        return once[0], second[0]

    def counted(self, start: int, count: int) -> torch.Tensor:
        """Positions ``[axes, 1, count]`` of text."""
        return torch.arange(start, start + count).expand(self._axes, 1, -1)


def layers_of(model: Any) -> list[nn.Module]:
    """The decoder's layers: the outermost list of modules that is not in a vision tower."""
    lists = [
        (name.count("."), -len(module), list(module))
        for name, module in model.named_modules()
        if isinstance(module, nn.ModuleList) and "vis" not in name
    ]
    return min(lists, key=lambda one: one[:2])[2] if lists else []


def _window(config: Any) -> int:
    """Tokens of the sliding window; 0 where no layer has one."""
    if getattr(config, "use_sliding_window", True) is False:
        return 0
    return getattr(config, "sliding_window", None) or 0
