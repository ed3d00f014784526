"""Trains the whole network: first its vision tower, then everything together.

Knows nothing of files: it returns the model, its weights rounded to float16, which is the model
in every format.
"""

import time
from collections import deque
from dataclasses import dataclass
from random import Random

import torch
from torch.nn import functional
from transformers import PreTrainedTokenizerFast

from training.vision_starter.batches import Batch, Writer, batches
from training.vision_starter.chatml import (
    END_OF_TEXT,
    IM_END,
    IMAGE,
    VIDEO,
    VISION_END,
    VISION_START,
)
from training.vision_starter.comparing import Comparing
from training.vision_starter.network import Helper, Network, encode_images, new_network
from training.vision_starter.optimizing import Course, descend, mixed, rounded, set_rate
from training.vision_starter.vision_tower import PEAK_RATE as TOWER_RATE
from training.vision_starter.vision_tower import train_vision_tower

PEAK_RATE, TOWER_SHARE = 3e-3, 0.4  # learning rate; the part of it that the tower learns with
HELP, COMPARE = 0.5, 1.0  # weights of the helping head's loss and of the comparing
SMALL, SMALL_SHARE = 160, 0.3  # longest side in pixels at the beginning; how long that lasts


def build(tokenizer: PreTrainedTokenizerFast) -> Network:
    """Return an untrained network for this tokenizer."""
    tokens = {
        "image_token_id": IMAGE,
        "video_token_id": VIDEO,
        "vision_start_token_id": VISION_START,
        "vision_end_token_id": VISION_END,
        "eos_token_id": IM_END,
        "pad_token_id": END_OF_TEXT,
    }
    ids = {name: tokenizer.convert_tokens_to_ids(token) for name, token in tokens.items()}
    return new_network(len(tokenizer), ids)


@dataclass(frozen=True)
class Steps:
    """Batches of each part of the training."""

    tower: int = 2600
    answers: int = 2000


def train(tokenizer: PreTrainedTokenizerFast, steps: Steps, seed: int) -> Network:
    """Train the vision tower, and then everything together; print on the way."""
    torch.manual_seed(seed)
    network, helper = build(tokenizer), Helper()
    train_vision_tower(network.model.visual, helper, Course(steps.tower, seed, TOWER_RATE))
    train_answers(network, helper, tokenizer, Course(steps.answers, seed, PEAK_RATE))
    return rounded(network)


def go_on(network: Network, tokenizer: PreTrainedTokenizerFast, steps: int, seed: int) -> Network:
    """Train a finished network further on conversations."""
    torch.manual_seed(seed)
    train_answers(network.train(), Helper(), tokenizer, Course(steps, seed, PEAK_RATE / 2))
    return rounded(network)


def train_answers(
    network: Network, helper: Helper, tokenizer: PreTrainedTokenizerFast, course: Course
) -> None:
    """Train everything on conversations; small pictures only at the beginning."""
    random, steps = Random(course.seed), course.steps
    writer = Writer(tokenizer, random)
    small, every = batches(writer, random, SMALL), batches(writer, random)
    comparing, text = Comparing(tokenizer, random), network.model.language_model
    optimizer = _optimizer(network, helper)
    learned = [p for group in optimizer.param_groups for p in group["params"]]
    started, recent = time.monotonic(), deque[tuple[float, float]](maxlen=50)
    for step in range(steps):
        set_rate(optimizer, course, step)
        batch = next(small if step < SMALL_SHARE * steps else every)
        with mixed():
            loss, right, help_loss = answer_loss(network, helper, batch)
            whole = loss + HELP * help_loss + COMPARE * comparing.loss(text, network.lm_head)
        descend(optimizer, whole, learned)
        recent.append((loss.item(), right))
        if step % 50 == 49:
            mean, share = (sum(values) / len(recent) for values in zip(*recent, strict=True))
            line = f"answers {step + 1}/{steps}  {time.monotonic() - started:.0f} s"
            compared = f"comparing level {comparing.level}: {sum(comparing.recent) / 8:.3f}"
            print(f"{line}  loss {mean:.4f}  right {share:.3f}  {compared}", flush=True)


def _optimizer(network: Network, helper: Helper) -> torch.optim.Optimizer:
    tower = [*network.model.visual.parameters(), *helper.parameters()]
    text = list(network.model.language_model.parameters())
    groups = [{"params": tower, "share": TOWER_SHARE}, {"params": text, "share": 1.0}]
    return torch.optim.AdamW(groups, betas=(0.9, 0.98), weight_decay=0.05)


def answer_loss(
    network: Network, helper: Helper, batch: Batch
) -> tuple[torch.Tensor, float, torch.Tensor]:
    """Return the loss, the share of answers right in every token, and the helping head's loss."""
    text, help_loss = network.model.language_model, torch.zeros(())
    inputs = text.embed_tokens(batch.ids).flatten(0, 1)
    for grid, patches, targets, where in batch.pictures:
        features = encode_images(network.model.visual, patches, grid)
        inputs = inputs.index_copy(0, where, features.flatten(0, 1).to(inputs.dtype))
        help_loss = help_loss + helper(features, targets)[0] * len(patches) / len(batch.ids)
    hidden = text(
        inputs_embeds=inputs.view(*batch.ids.shape, -1), position_ids=batch.places, use_cache=False
    ).last_hidden_state
    wanted = batch.learned[:, 1:]
    scores = network.lm_head(hidden[:, :-1][wanted])
    targets = batch.ids[:, 1:][wanted]
    each = functional.cross_entropy(scores, targets, reduction="none")
    loss = (each * batch.weights[:, 1:][wanted]).mean()
    return loss, right_share(scores, targets, wanted), help_loss


def right_share(scores: torch.Tensor, targets: torch.Tensor, wanted: torch.Tensor) -> float:
    """Return the share of answers in which every token has the highest score."""
    starts = wanted & ~functional.pad(wanted, (1, 0))[:, :-1]
    answers = (starts.flatten().cumsum(0) - 1)[wanted.flatten()]
    wrong = torch.zeros(int(starts.sum())).index_add(
        0, answers, (scores.argmax(-1) != targets).float()
    )
    return (wrong == 0).float().mean().item()
