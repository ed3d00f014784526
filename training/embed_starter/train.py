"""Trains the network: texts that belong together get similar vectors, all others do not.

Knows nothing of files: it returns the model, its weights rounded to float16, which is the model
in every format.
"""

import math
import time
from random import Random

import numpy as np
import torch
from torch.nn import functional
from transformers import BertModel, PreTrainedTokenizerFast

from training.embed_starter.network import cut, embed, new_model, start_from_counts
from training.embed_starter.shape import SIZES
from training.embed_starter.texts import excerpts, paragraphs, question, topics, word_salad

TOPICS, OTHERS = 64, 8  # in a batch: topics; excerpts, and salads
ANSWERED = 0.5  # share of the batches with answers: they are long, few, and soon known
PEAK_RATE, WARM_UP = 1.5e-3, 20  # learning rate; steps
TEMPERATURE = 0.05
COUNTED = 30  # questions of each topic and language, for where training starts
SHIFTED = 0.5  # share of the batches at other positions, so that all positions are learnt

Views = list[list[str]]  # the first texts of every group, the second ones, ...


def train(tokenizer: PreTrainedTokenizerFast, steps: int, seed: int) -> BertModel:
    """Train for so many batches and print the loss on the way."""
    torch.manual_seed(seed)
    random, model = Random(seed), new_model(tokenizer).train()
    start_from_counts(model, count_tokens(tokenizer, random))
    optimizer = torch.optim.AdamW(
        model.parameters(), betas=(0.9, 0.98), weight_decay=0.05, fused=True
    )
    started = time.monotonic()
    for step in range(steps):
        set_rate(optimizer, step, steps)
        loss = learn(model, optimizer, tokenizer, random)
        if step % 20 == 0:
            seconds = time.monotonic() - started
            print(f"step {step}/{steps}  loss {loss:.3f}  {seconds:.0f} s", flush=True)
    return model.half().float().eval()


def count_tokens(tokenizer: PreTrainedTokenizerFast, random: Random) -> np.ndarray:
    """Count tokens [topics, tokens] in questions and answers of each topic, in both languages."""
    counts = np.zeros((len(topics()), len(tokenizer)))
    for row, topic in zip(counts, topics(), strict=True):
        for entry in (topic.english, topic.korean):
            texts = [question(entry, random) for _ in range(COUNTED)] + [entry.answer]
            for ids in tokenizer(texts, add_special_tokens=False)["input_ids"]:
                np.add.at(row, list(set(ids)), 1)
    return counts


def learn(
    model: BertModel,
    optimizer: torch.optim.Optimizer,
    tokenizer: PreTrainedTokenizerFast,
    random: Random,
) -> float:
    """One step: a batch of topics and one of texts on any subject."""
    batches = [topic_views(random), other_views(random)]
    shift = random.randrange(400) if random.random() < SHIFTED else 0
    ids = tokenizer([text for views in batches for view in views for text in view])["input_ids"]
    vectors = embed(model, ids, shift)
    split = vectors.split([sum(map(len, views)) for views in batches])
    losses = [contrast(v.view(len(b), -1, SIZES[-1])) for v, b in zip(split, batches, strict=True)]
    loss = losses[0] + 0.5 * losses[1]
    optimizer.zero_grad()
    loss.backward()
    torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
    optimizer.step()
    return losses[0].item()


def topic_views(random: Random) -> Views:
    """Of each topic: a question in both languages, sometimes the answer in one of them."""
    answered, rows = random.random() < ANSWERED, []
    for topic in random.sample(topics(), TOPICS):
        row = [question(entry, random) for entry in (topic.english, topic.korean)]
        answer = random.choice((topic.english, topic.korean)).answer
        rows.append([*row, answer] if answered else row)
    return [list(view) for view in zip(*rows, strict=True)]


def other_views(random: Random) -> Views:
    """Pairs of texts on any subject: two of a paragraph, or two with the same words."""
    rows = [excerpts(text, random) for text in random.sample(paragraphs(), OTHERS)]
    rows += [word_salad(random) for _ in range(OTHERS)]
    return [list(view) for view in zip(*rows, strict=True)]


def contrast(views: torch.Tensor) -> torch.Tensor:
    """Return how badly each text finds those of its group among all others (InfoNCE).

    ``views`` [views, groups, numbers]. Every one of the sizes must be enough to find them.
    """
    wanted = torch.arange(views.shape[1])
    losses = []
    for size in SIZES:
        vectors = cut(views, size)
        for one in range(len(vectors)):
            for other in range(len(vectors)):
                if one != other:
                    scores = vectors[one] @ vectors[other].T / TEMPERATURE
                    losses.append(functional.cross_entropy(scores, wanted))
    return torch.stack(losses).mean()


def set_rate(optimizer: torch.optim.Optimizer, step: int, steps: int) -> None:
    """Rise linearly, then fall along a cosine."""
    fall = 0.02 + 0.98 * (1 + math.cos(math.pi * step / steps)) / 2
    for group in optimizer.param_groups:
        group["lr"] = PEAK_RATE * min(1.0, (step + 1) / WARM_UP) * fall
