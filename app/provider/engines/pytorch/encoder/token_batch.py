"""Texts of different lengths as the tensors of one forward pass."""

from __future__ import annotations

import inspect
from collections.abc import Sequence
from typing import Any

import torch

from app.provider.encoding.runner import EncoderItem


class TokenBatches:
    """Makes the inputs of a model that takes tokens; ``model`` may be a part of one.

    Rows are filled up with ``pad_token`` on the right, which the mask hides. Padding that the model
    computes like text is part of an item; a mask (``masked``) makes no difference then.
    """

    def __init__(self, model: Any, pad_token: int, *, masked: bool = True) -> None:
        known = inspect.signature(model.forward).parameters
        types = getattr(model.config, "type_vocab_size", 0) or 0
        self._types = "token_type_ids" in known and types > 1
        self._masked = masked
        self._pad_token = pad_token
        self._device = next(model.parameters()).device

    def inputs(self, batch: Sequence[EncoderItem]) -> dict[str, torch.Tensor]:
        """The tensors by the names of transformers."""
        found = {"input_ids": self._rows([item.tokens for item in batch], self._pad_token)}
        if self._masked:
            found["attention_mask"] = self._rows([(1,) * len(item.tokens) for item in batch], 0)
        if self._types:
            found["token_type_ids"] = self._rows([item.token_types for item in batch], 0, found)
        return found

    def _rows(
        self,
        rows: Sequence[tuple[int, ...]],
        filling: int,
        beside: dict[str, torch.Tensor] | None = None,
    ) -> torch.Tensor:
        longest = beside["input_ids"].shape[1] if beside else max(1, *map(len, rows))
        filled = [(*row, *[filling] * (longest - len(row))) for row in rows]
        return torch.tensor(filled, dtype=torch.long, device=self._device)
