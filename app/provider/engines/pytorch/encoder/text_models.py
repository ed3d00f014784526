"""Forward passes over texts and pairs: hidden states that are pooled, and logits."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch

from app.provider.encoding.folders.settings import EncoderSettings, PoolingRule
from app.provider.encoding.inputs.text_input import TextInput
from app.provider.encoding.outputs.dense import Dense
from app.provider.encoding.outputs.pooling import pool
from app.provider.encoding.outputs.vectors import Vectors
from app.provider.encoding.runner import EncoderItem
from app.provider.engines.pytorch.encoder.token_batch import TokenBatches
from app.provider.errors import ModelNotLoadable


class TextEncoder:
    """Vectors of texts: the model, the pooling, and the layers behind it."""

    def __init__(self, model: Any, settings: EncoderSettings, rule: PoolingRule, pad: int) -> None:
        self._model = model
        self._batches = TokenBatches(model, pad)
        self._rule = rule
        self._dense = [Dense(layer) for layer in settings.dense]

    def __call__(self, batch: Sequence[EncoderItem]) -> Vectors:
        """Vectors [texts, dimensions]."""
        inputs = self._batches.inputs(batch)
        hidden = self._model(**inputs).last_hidden_state.float().cpu().numpy()
        mask = inputs["attention_mask"].cpu().numpy()
        vectors = pool(hidden, mask, self._rule, [item.prompt_tokens for item in batch])
        for layer in self._dense:
            vectors = layer(vectors)
        return vectors


class CrossEncoder:
    """Logits of pairs from the classifier of the model."""

    def __init__(self, model: Any, pad: int) -> None:
        self._model = model
        self._batches = TokenBatches(model, pad)

    def __call__(self, batch: Sequence[EncoderItem]) -> Vectors:
        """Logits [pairs, 1]."""
        return as_numbers(self._model(**self._batches.inputs(batch)).logits)


class CausalReranker:
    """Logits of pairs from the last token of a language model: how much more a yes than a no."""

    def __init__(self, model: Any, text: TextInput) -> None:
        self._body = model.base_model
        self._batches = TokenBatches(self._body, text.pad_token)
        self._row = score_row(model, text)

    def __call__(self, batch: Sequence[EncoderItem]) -> Vectors:
        """Logits [pairs, 1], computed in float32, where near ones stay different."""
        hidden = self._body(**self._batches.inputs(batch)).last_hidden_state
        last = torch.tensor([len(item.tokens) - 1 for item in batch], device=hidden.device)
        rows = hidden[torch.arange(len(batch), device=hidden.device), last]
        return as_numbers((rows.float() @ self._row)[:, None])


def score_row(model: Any, text: TextInput) -> torch.Tensor:
    """The one row of a head whose product with a hidden state is the logit, in float32."""
    if not text.answers:
        score: torch.Tensor = model.score.weight[0].float()
        return score
    head: torch.Tensor = model.get_output_embeddings().weight
    if max(text.answers) >= len(head):
        raise ModelNotLoadable("The model has no logits of the words yes and no.")
    yes, *no = (head[token].float() for token in text.answers)
    return yes - no[0] if no else yes


def as_numbers(tensor: torch.Tensor) -> Vectors:
    """A tensor as an array of float32."""
    found: Vectors = tensor.float().cpu().numpy()
    return found
