"""Trains the network: a picture gets a vector like those of the texts that are true of it.

Knows nothing of files: it returns the model, its weights rounded to float16, which is the model
in every format.
"""

import math
import time
from collections import defaultdict
from dataclasses import dataclass
from random import Random

import numpy as np
import torch
from torch.nn import functional
from transformers import CLIPModel, CLIPTokenizer

from training.clip_starter.captions import ALIKE, LOOKS, Wording, alike, look
from training.clip_starter.network import (
    GRID,
    TOLD,
    Helper,
    new_network,
    read,
    see,
)
from training.clip_starter.pictures import PATCH, SIDE, pixels
from training.vision_starter.drawing import COLOURS, MOST, SHAPES, Scene, scene
from training.vision_starter.labels import labels

BATCH = 64  # pictures
PEAK_RATE, WARM_UP = 2e-3, 60  # learning rate; steps
LARGEST_SCALE = math.log(100)
PAIR_WEIGHT, HELP_WEIGHT = 0.5, 0.5
LEFT_OUT = -100  # PyTorch's index for "no target here"


@dataclass(frozen=True)
class Question:
    """Texts of which one is true of a picture, and which one it is of each picture."""

    name: str
    texts: list[str]
    wanted: list[int]


def train(tokenizer: CLIPTokenizer, steps: int, seed: int) -> CLIPModel:
    """Train for so many batches and print on the way how much is right."""
    torch.manual_seed(seed)
    random, network = Random(seed), new_network(tokenizer).train()
    helper = Helper(network.config.vision_config.hidden_size)
    learned = [*network.parameters(), *helper.parameters()]
    optimizer = torch.optim.AdamW(learned, betas=(0.9, 0.98), weight_decay=0.05, fused=True)
    started, recent = time.monotonic(), defaultdict(list)
    for step in range(steps):
        set_rate(optimizer, step, steps)
        for name, share in learn(network, helper, optimizer, tokenizer, random).items():
            recent[name].append(share)
        if step % 50 == 49:
            shares = "  ".join(f"{name} {np.mean(s):.3f}" for name, s in recent.items())
            recent.clear()
            seconds = time.monotonic() - started
            print(f"step {step + 1}/{steps}  {seconds:.0f} s  {shares}", flush=True)
    return network.half().float().eval()


def learn(
    network: CLIPModel,
    helper: Helper,
    optimizer: torch.optim.Optimizer,
    tokenizer: CLIPTokenizer,
    random: Random,
) -> dict[str, float]:
    """One step; returns which share of each kind of question is right."""
    scenes = [scene(random) for _ in range(BATCH)]
    images = torch.from_numpy(np.stack([pixels(one.draw()) for one in scenes]))
    vectors, patches = see(network, images)
    asked = questions(scenes, random.choice(("en", "ko")), random)
    texts = read(network, tokenizer, [text for question in asked for text in question.texts])
    scale = network.logit_scale.clamp(max=LARGEST_SCALE).exp()
    loss, right = HELP_WEIGHT * helper(patches, targets(scenes)), {}
    for question, those in zip(asked, texts.split([len(q.texts) for q in asked]), strict=True):
        scores, wanted = scale * vectors @ those.T, torch.tensor(question.wanted)
        weight = PAIR_WEIGHT if question.name == "pair" else 1.0
        loss = loss + weight * functional.cross_entropy(scores, wanted, ignore_index=LEFT_OUT)
        hits = (scores.argmax(1) == wanted)[wanted != LEFT_OUT]
        right[question.name] = hits.float().mean().item()
    descend(optimizer, loss)
    return right


def descend(optimizer: torch.optim.Optimizer, loss: torch.Tensor) -> None:
    learned = [values for group in optimizer.param_groups for values in group["params"]]
    optimizer.zero_grad()
    loss.backward()
    torch.nn.utils.clip_grad_norm_(learned, 1.0)
    optimizer.step()


def questions(scenes: list[Scene], language: str, random: Random) -> list[Question]:
    """Ask of every picture for everything at once, and for colour, shape and number alone."""
    words = Wording(language, random)
    places = [alike(one) for one in scenes]
    colours, shapes = list(COLOURS), list(SHAPES)
    of_alike = [None if place is None else ALIKE[place] for place in places]
    return [
        Question("all", [words.alike(*one) for one in ALIKE], _wanted(places)),
        Question(
            "colour",
            [words.colour(one) for one in colours],
            _wanted([one and colours.index(one[1]) for one in of_alike]),
        ),
        Question(
            "shape",
            [words.shape(one) for one in shapes],
            _wanted([one and shapes.index(one[2]) for one in of_alike]),
        ),
        Question(
            "count",
            [words.number(count) for count in range(MOST + 1)],
            [len(one.things) for one in scenes],
        ),
        pairs(scenes, words),
    ]


def _wanted(places: list[int | None]) -> list[int]:
    return [LEFT_OUT if place is None else place for place in places]


def pairs(scenes: list[Scene], words: Wording) -> Question:
    """Ask which two unlike objects there are: those of each picture, and near misses of them."""
    found = [(look(s.things[0]), look(s.things[1])) for s in scenes if s.pair]
    near = [((a[0], b[1]), (b[0], a[1])) for a, b in found]
    near += [(a, words.random.choice(LOOKS)) for a, _ in found]
    options = list(dict.fromkeys(tuple(sorted(two)) for two in (*found, *near) if two[0] != two[1]))
    wanted = [
        options.index(tuple(sorted(map(look, s.things)))) if s.pair else LEFT_OUT for s in scenes
    ]
    return Question("pair", [words.pair(*two) for two in options], wanted)


def targets(scenes: list[Scene]) -> dict[str, torch.Tensor]:
    """Return what the helping head must say of every patch."""
    told = [labels(one, (0.0, 0.0, SIDE, SIDE), GRID, PATCH) for one in scenes]
    return {name: torch.from_numpy(np.stack([one[name] for one in told])) for name in TOLD}


def set_rate(optimizer: torch.optim.Optimizer, step: int, steps: int) -> None:
    """Rise linearly, then fall along a cosine."""
    fall = 0.02 + 0.98 * (1 + math.cos(math.pi * step / steps)) / 2
    for group in optimizer.param_groups:
        group["lr"] = PEAK_RATE * min(1.0, (step + 1) / WARM_UP) * fall
