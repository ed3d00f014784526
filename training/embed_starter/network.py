"""The network: BERT with mean pooling."""

import numpy as np
import torch
from torch.nn import functional
from transformers import BertConfig, BertModel, PreTrainedTokenizerFast

from training.embed_starter.shape import CONTEXT, SIZES

SMOOTH = 4.0  # of a token: occurrences that could be on any topic
START_SPREAD, OWN = 0.1, 0.3  # size of the first vectors, and of their random part
GROUP = 64  # texts of similar length that are padded together


def new_model(tokenizer: PreTrainedTokenizerFast) -> BertModel:
    config = BertConfig(
        vocab_size=len(tokenizer),
        hidden_size=SIZES[-1],
        intermediate_size=384,
        num_hidden_layers=1,
        num_attention_heads=6,
        max_position_embeddings=CONTEXT,
        pad_token_id=tokenizer.pad_token_id,
        hidden_dropout_prob=0.0,
        attention_probs_dropout_prob=0.0,
        matryoshka_dimensions=list(SIZES),
    )
    return BertModel(config)


def start_from_counts(model: BertModel, counts: np.ndarray) -> None:
    """Give tokens of the same topics similar vectors, before any training.

    ``counts`` [topics, tokens] say how often a token occurs in texts on a topic. Each topic gets a
    random direction, a token the sum of the directions of its topics, each as often as it is
    found there, and a direction of its own, which is all that a token of every topic has.
    """
    shares = (counts + SMOOTH / len(counts)) / (counts.sum(0) + SMOOTH)
    directions = torch.randn(len(counts), model.config.hidden_size)
    about = torch.from_numpy(shares - 1 / len(counts)).float().T @ directions
    with torch.no_grad():
        words = model.embeddings.word_embeddings.weight
        words.copy_(START_SPREAD * (about + OWN * torch.randn_like(words)))


def embed(model: BertModel, ids: list[list[int]], shift: int = 0) -> torch.Tensor:
    """Return the mean of the last hidden states of each text; positions begin at ``shift``."""
    order = sorted(range(len(ids)), key=lambda at: len(ids[at]))
    groups = [order[at : at + GROUP] for at in range(0, len(order), GROUP)]
    parts = [_embed_group(model, [ids[at] for at in group], shift) for group in groups]
    back = torch.from_numpy(np.argsort(order))
    return torch.cat(parts)[back]


def _embed_group(model: BertModel, ids: list[list[int]], shift: int) -> torch.Tensor:
    longest = max(map(len, ids))
    tokens = torch.tensor([row + [0] * (longest - len(row)) for row in ids])
    mask = torch.tensor([[1.0] * len(row) + [0.0] * (longest - len(row)) for row in ids])
    places = torch.arange(min(shift, CONTEXT - longest), CONTEXT)[:longest]
    hidden = model(
        input_ids=tokens, attention_mask=mask, position_ids=places.expand(len(ids), -1)
    ).last_hidden_state
    mean: torch.Tensor = (hidden * mask[:, :, None]).sum(1) / mask.sum(1, keepdim=True)
    return mean


def cut(vectors: torch.Tensor, size: int) -> torch.Tensor:
    """Return the first numbers of each vector, at length one."""
    return functional.normalize(vectors[..., :size], dim=-1)
