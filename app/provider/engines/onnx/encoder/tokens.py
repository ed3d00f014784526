"""Makes the inputs of a graph from tokens, padded to one length."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from app.provider.encoding.runner import EncoderItem
from app.provider.engines.onnx.encoder.session import Session
from app.provider.errors import ModelNotLoadable

IDS = "input_ids"
MASKS = ("attention_mask", "input_mask")
TYPES = ("token_type_ids", "input_type", "segment_ids")
POSITIONS = "position_ids"
_PAST = "past_key_values."
Tokens = NDArray[np.int64]


class TokenFeeds:
    """The token inputs of a graph. ``pad_token`` fills up the shorter rows, on the right."""

    def __init__(self, session: Session, pad_token: int) -> None:
        if IDS not in session.inputs:
            raise ModelNotLoadable(f"{session.name} takes no tokens ({IDS}).")
        self._session = session
        self._pad_token = pad_token
        self._past = [name for name in session.inputs if name.startswith(_PAST)]
        self.names = [IDS, *MASKS, *TYPES, POSITIONS, *self._past]
        self._width = session.fixed(IDS, 1)
        for name in self._past:
            if not (session.fixed(name, 1) and session.fixed(name, 3)):
                raise ModelNotLoadable(f"{session.name} does not state the size of {name}.")

    def make(self, batch: Sequence[EncoderItem]) -> dict[str, NDArray[Any]]:
        """All inputs for a batch; the mask is there in any case, under its first name."""
        width = self._width or max(len(item.tokens) for item in batch)
        ids, mask, types = self._arrays(batch, width)
        feeds: dict[str, NDArray[Any]] = {IDS: ids}
        feeds |= dict.fromkeys(MASKS, mask)
        feeds |= dict.fromkeys(TYPES, types)
        feeds[POSITIONS] = np.broadcast_to(np.arange(width), ids.shape)
        for name in self._past:
            heads, size = self._session.fixed(name, 1), self._session.fixed(name, 3)
            feeds[name] = np.zeros((len(batch), heads, 0, size), np.float32)
        return feeds

    def _arrays(self, batch: Sequence[EncoderItem], width: int) -> tuple[Tokens, Tokens, Tokens]:
        """Tokens, mask and token types [items, width]."""
        ids = np.full((len(batch), width), self._pad_token, np.int64)
        mask, types = np.zeros_like(ids), np.zeros_like(ids)
        for row, item in enumerate(batch):
            length = len(item.tokens)
            ids[row, :length] = item.tokens
            mask[row, :length] = 1
            if item.token_types:
                types[row, :length] = item.token_types
        return ids, mask, types
