"""Computes vectors of texts and logits of pairs with one graph."""

from __future__ import annotations

from collections.abc import Sequence

from app.provider.encoding.folders.settings import EncoderSettings, PoolingRule
from app.provider.encoding.outputs.dense import Dense
from app.provider.encoding.outputs.pooling import pool
from app.provider.encoding.outputs.vectors import Vectors
from app.provider.encoding.runner import EncoderItem
from app.provider.engines.onnx.encoder.session import Session
from app.provider.engines.onnx.encoder.tokens import MASKS, TokenFeeds
from app.provider.errors import ModelNotLoadable

_POOLED = "sentence_embedding"
_HIDDEN = ("last_hidden_state", "token_embeddings", "hidden_states")
_LOGITS = "logits"


class TextEncoder:
    """A graph that makes vectors of texts, with the pooling that the settings name."""

    def __init__(self, session: Session, settings: EncoderSettings, pad_token: int) -> None:
        if settings.pooling is None:
            raise ModelNotLoadable("Its files do not say how the vectors of its tokens become one.")
        self._session = session
        self._feeds = TokenFeeds(session, pad_token)
        session.require(self._feeds.names)
        self._rule = settings.pooling
        self._dense = [Dense(one) for one in settings.dense]
        self._output = _text_output(session, settings, settings.pooling)

    def __call__(self, batch: Sequence[EncoderItem]) -> Vectors:
        """The vectors of a batch [items, dimensions]."""
        feeds = self._feeds.make(batch)
        found = self._session.run(self._output, feeds)
        if self._output == _POOLED:
            return found
        prompts = [item.prompt_tokens for item in batch]
        vectors = pool(found, feeds[MASKS[0]], self._rule, prompts)
        for dense in self._dense:
            vectors = dense(vectors)
        return vectors


class PairScorer:
    """A graph of a cross-encoder, which makes one logit of a pair of texts."""

    def __init__(self, session: Session, settings: EncoderSettings, pad_token: int) -> None:
        self._session = session
        self._feeds = TokenFeeds(session, pad_token)
        session.require(self._feeds.names)
        self._output = _LOGITS if _LOGITS in session.outputs else session.outputs[0]
        if session.rank(self._output) == 3 or session.fixed(self._output, 1) > 1:
            raise ModelNotLoadable(
                f"{session.name} gives {self._output} of several numbers for a pair, where a "
                "reranker gives one: take its GGUF or its Hugging Face files."
            )

    def __call__(self, batch: Sequence[EncoderItem]) -> Vectors:
        """The logits of a batch [items, 1]."""
        return self._session.run(self._output, self._feeds.make(batch)).reshape(len(batch), -1)


def _text_output(session: Session, settings: EncoderSettings, rule: PoolingRule) -> str:
    """The output to take: a vector for each text, or one for each token.

    The former has no place for tokens that are left out.
    """
    pooled = session.fixed(_POOLED, 1) or settings.dimensions
    if _POOLED in session.outputs and rule.include_prompt and pooled == settings.dimensions:
        return _POOLED
    width = settings.dense[0].inputs if settings.dense else settings.dimensions
    width //= len(rule.modes)
    known = [name for name in _HIDDEN if name in session.outputs]
    for name in known or session.outputs:
        if session.rank(name) == 3 and (session.fixed(name, 2) or width) == width:
            return name
    raise ModelNotLoadable(
        f"{session.name} gives no vectors of {width} numbers for tokens; "
        f"it gives {', '.join(session.outputs[:4])}."
    )
