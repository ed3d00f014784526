"""Trains the network on conversations that are made up while it learns.

Knows nothing of files: it returns the model, its weights rounded to float16, which is the model
in every format.
"""

import math
import time
from collections.abc import Iterator
from dataclasses import dataclass
from random import Random

import torch
from torch.nn import functional
from transformers import PreTrainedTokenizerFast, Qwen2Config, Qwen2ForCausalLM

from training.starter.conversations import END_OF_TEXT, IM_END, conversation
from training.starter.tokenizer import CONTEXT

BATCH_TOKENS = 3072
POOL = 512  # conversations sorted by length together, so that batches need little padding
PEAK_RATE, WARM_UP = 3e-3, 100  # learning rate; steps
DRILLED = 0.85  # share of the single turns of which only the first tokens are learned
DRILL_TOKENS = 8  # enough to decide which answer it will be; the rest is soon known by heart


@dataclass(frozen=True)
class Example:
    """Token ids of one conversation and which of them the model must learn to write."""

    ids: list[int]
    learned: list[bool]


def new_model(tokenizer: PreTrainedTokenizerFast) -> Qwen2ForCausalLM:
    config = Qwen2Config(
        vocab_size=len(tokenizer),
        hidden_size=192,
        intermediate_size=320,
        num_hidden_layers=4,
        num_attention_heads=6,
        num_key_value_heads=2,
        max_position_embeddings=CONTEXT,
        tie_word_embeddings=True,
        rope_parameters={"rope_type": "default", "rope_theta": 1e6},
        bos_token_id=None,
        eos_token_id=tokenizer.convert_tokens_to_ids(IM_END),
        pad_token_id=tokenizer.convert_tokens_to_ids(END_OF_TEXT),
    )
    return Qwen2ForCausalLM(config)


def train(tokenizer: PreTrainedTokenizerFast, steps: int, seed: int) -> Qwen2ForCausalLM:
    """Train for so many batches and print the loss on the way."""
    torch.manual_seed(seed)
    model = new_model(tokenizer)
    weights = [p for p in model.parameters() if p.dim() > 1]
    scales = [p for p in model.parameters() if p.dim() == 1]
    optimizer = torch.optim.AdamW(
        [{"params": weights, "weight_decay": 0.1}, {"params": scales, "weight_decay": 0.0}],
        betas=(0.9, 0.98),
    )
    batches = _batches(tokenizer, Random(seed))
    started, seen = time.monotonic(), 0
    for step in range(steps):
        _set_rate(optimizer, step, steps)
        examples = next(batches)
        loss = _learn(model, optimizer, examples)
        seen += sum(len(e.ids) for e in examples)
        if step % 100 == 0:
            rate = seen / (time.monotonic() - started)
            print(f"step {step}/{steps}  loss {loss:.4f}  {rate:.0f} tokens/s", flush=True)
    return model.half().float().eval()


def _learn(
    model: Qwen2ForCausalLM, optimizer: torch.optim.Optimizer, examples: list[Example]
) -> float:
    ids, learned = _tensors(examples)
    hidden = model.model(input_ids=ids).last_hidden_state[:, :-1][learned[:, 1:]]
    loss = functional.cross_entropy(model.lm_head(hidden), ids[:, 1:][learned[:, 1:]])
    optimizer.zero_grad()
    loss.backward()
    torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
    optimizer.step()
    return loss.item()


def _tensors(examples: list[Example]) -> tuple[torch.Tensor, torch.Tensor]:
    """Pad on the right: causal attention never looks there, so no mask is needed."""
    width = max(len(e.ids) for e in examples)
    ids = torch.zeros(len(examples), width, dtype=torch.long)
    learned = torch.zeros(len(examples), width, dtype=torch.bool)
    for row, example in enumerate(examples):
        ids[row, : len(example.ids)] = torch.tensor(example.ids)
        learned[row, : len(example.ids)] = torch.tensor(example.learned)
    return ids, learned


def _set_rate(optimizer: torch.optim.Optimizer, step: int, steps: int) -> None:
    """Rise linearly, then fall along a cosine to a hundredth of the peak."""
    warm = min(1.0, (step + 1) / WARM_UP)
    fall = 0.01 + 0.99 * (1 + math.cos(math.pi * step / steps)) / 2
    for group in optimizer.param_groups:
        group["lr"] = PEAK_RATE * warm * fall


def _batches(tokenizer: PreTrainedTokenizerFast, random: Random) -> Iterator[list[Example]]:
    while True:
        pool = sorted((_example(tokenizer, random) for _ in range(POOL)), key=lambda e: len(e.ids))
        batches: list[list[Example]] = [[]]
        for example in pool:
            if (len(batches[-1]) + 1) * len(example.ids) > BATCH_TOKENS:
                batches.append([])
            batches[-1].append(example)
        random.shuffle(batches)
        yield from batches


def _example(tokenizer: PreTrainedTokenizerFast, random: Random) -> Example:
    ids: list[int] = []
    learned: list[bool] = []
    pieces = conversation(random)
    for piece in pieces:
        tokens = tokenizer.encode(piece.text, add_special_tokens=False)
        ids += tokens
        learned += [piece.learned] * len(tokens)
    if sum(piece.learned for piece in pieces) == 1 and random.random() < DRILLED:
        end = learned.index(True) + DRILL_TOKENS
        return Example(ids[:end], learned[:end])
    return Example(ids, learned)
