"""Trains the network: a picture gets a vector like those of the texts that are true of it.

Knows nothing of files.
"""

import itertools
import math
import time
from collections import defaultdict
from collections.abc import Iterator
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
from training.muon import Muon
from training.vision_starter.drawing import COLOURS, MOST, SHAPES, Scene, scene
from training.vision_starter.labels import labels

BATCH, PICTURES = 64, 1920  # pictures of a step; of all steps with texts alone
PEAK_RATE, WARM_UP = 3e-3, 30  # learning rate; steps
EASY, LARGE = 0.3, 32.0  # share of the batches with large objects only; least pixels of these
LARGEST_SCALE = math.log(100)
PAIR_WEIGHT, HELP_WEIGHT = 0.5, 0.5
LEFT_OUT = -100  # PyTorch's index for "no target here"


@dataclass(frozen=True)
class Parts:
    """What learns, and how."""

    network: CLIPModel
    helper: Helper
    tokenizer: CLIPTokenizer
    optimizers: list[torch.optim.Optimizer]


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
    parts = Parts(network, helper, tokenizer, new_optimizers(network, helper))
    started, recent = time.monotonic(), defaultdict(list)
    for step, shown in enumerate(scenes(random, steps)):
        set_rate(parts.optimizers, step, steps)
        words = Wording(random.choice(("en", "ko")), random)
        right = learn(parts, shown, words)
        report(f"step {step + 1}/{steps}", step, started, recent, right)
    return network


def train_texts(network: CLIPModel, tokenizer: CLIPTokenizer, steps: int, seed: int) -> None:
    """Teach the texts alone to be understood in other wordings.

    They are held against pictures that are encoded once, which costs a fifth of the time.
    """
    torch.manual_seed(seed)
    random = Random(f"texts {seed}")
    pictures = [scene(random) for _ in range(PICTURES)]
    vectors = torch.cat(
        [encoded(network, pictures[at : at + BATCH]) for at in range(0, PICTURES, BATCH)]
    )
    learned = [*network.text_model.parameters(), *network.text_projection.parameters()]
    optimizers: list[torch.optim.Optimizer] = [torch.optim.AdamW(learned, weight_decay=0.01)]
    started, recent = time.monotonic(), defaultdict(list)
    for step in range(steps):
        set_rate(optimizers, step, steps)
        chosen = random.sample(range(PICTURES), BATCH)
        words = Wording(random.choice(("en", "ko")), random, strange=True)
        shown = [pictures[at] for at in chosen]
        loss, right = question_loss(network, tokenizer, vectors[chosen], shown, words)
        descend(optimizers, loss)
        report(f"texts {step + 1}/{steps}", step, started, recent, right)


@torch.no_grad()
def encoded(network: CLIPModel, shown: list[Scene]) -> torch.Tensor:
    """Return the vectors of pictures, which are not to be learned."""
    return see(network, images_of(shown))[0]


def images_of(shown: list[Scene]) -> torch.Tensor:
    """Return what the network is shown of pictures."""
    return torch.from_numpy(np.stack([pixels(one.draw()) for one in shown]))


def report(
    what: str, step: int, started: float, recent: dict[str, list[float]], right: dict[str, float]
) -> None:
    """Print now and then how much of each kind of question was right."""
    for name, share in right.items():
        recent[name].append(share)
    if step % 50 == 49:
        shares = "  ".join(f"{name} {np.mean(s):.3f}" for name, s in recent.items())
        recent.clear()
        print(f"{what}  {time.monotonic() - started:.0f} s  {shares}", flush=True)


def new_optimizers(network: CLIPModel, helper: Helper) -> list[torch.optim.Optimizer]:
    """Return Muon for the matrices of the layers and AdamW for everything else."""
    named = dict(network.named_parameters())
    layers = {name for name, values in named.items() if ".layers." in name and values.dim() == 2}
    others = [values for name, values in named.items() if name not in layers]
    return [
        Muon((named[name] for name in layers), weight_decay=0.05),
        torch.optim.AdamW(
            [*others, *helper.parameters()], betas=(0.9, 0.98), weight_decay=0.05, fused=True
        ),
    ]


def scenes(random: Random, steps: int) -> Iterator[list[Scene]]:
    """Yield so many batches: at first without small objects, whose shapes are hard to see."""
    for step in range(steps):
        least = LARGE if step < EASY * steps else 0.0
        found = (scene(random) for _ in itertools.count())
        yield list(itertools.islice((one for one in found if smallest(one) >= least), BATCH))


def smallest(shown: Scene) -> float:
    """Return the size of the smallest object, in pixels of the square that the network sees."""
    shrink = SIDE / max(shown.width, shown.height)
    return min((thing.size * shrink for thing in shown.things), default=SIDE)


def learn(parts: Parts, shown: list[Scene], words: Wording) -> dict[str, float]:
    """One step; returns which share of each kind of question is right."""
    network = parts.network
    vectors, patches = see(network, images_of(shown))
    loss, right = question_loss(network, parts.tokenizer, vectors, shown, words)
    descend(parts.optimizers, loss + HELP_WEIGHT * parts.helper(patches, targets(shown)))
    return right


def question_loss(
    network: CLIPModel,
    tokenizer: CLIPTokenizer,
    vectors: torch.Tensor,
    shown: list[Scene],
    words: Wording,
) -> tuple[torch.Tensor, dict[str, float]]:
    """Return the loss of all questions about pictures, and which share of each kind is right."""
    asked = questions(shown, words)
    texts = read(network, tokenizer, [text for question in asked for text in question.texts])
    scale = network.logit_scale.clamp(max=LARGEST_SCALE).exp()
    loss, right = torch.zeros(()), {}
    for question, those in zip(asked, texts.split([len(q.texts) for q in asked]), strict=True):
        scores, wanted = scale * vectors @ those.T, torch.tensor(question.wanted)
        weight = PAIR_WEIGHT if question.name == "pair" else 1.0
        loss = loss + weight * functional.cross_entropy(scores, wanted, ignore_index=LEFT_OUT)
        hits = (scores.argmax(1) == wanted)[wanted != LEFT_OUT]
        right[question.name] = hits.float().mean().item()
    return loss, right


def descend(optimizers: list[torch.optim.Optimizer], loss: torch.Tensor) -> None:
    groups = [group for optimizer in optimizers for group in optimizer.param_groups]
    for optimizer in optimizers:
        optimizer.zero_grad()
    loss.backward()
    torch.nn.utils.clip_grad_norm_([v for group in groups for v in group["params"]], 1.0)
    for optimizer in optimizers:
        optimizer.step()


def questions(shown: list[Scene], words: Wording) -> list[Question]:
    """Ask of every picture for everything at once, and for colour, shape and number alone."""
    places = [alike(one) for one in shown]
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
            [len(one.things) for one in shown],
        ),
        pairs(shown, words),
    ]


def _wanted(places: list[int | None]) -> list[int]:
    return [LEFT_OUT if place is None else place for place in places]


def pairs(shown: list[Scene], words: Wording) -> Question:
    """Ask which two unlike objects there are: those of each picture, and near misses of them."""
    found = [(look(s.things[0]), look(s.things[1])) for s in shown if s.pair]
    near = [((a[0], b[1]), (b[0], a[1])) for a, b in found]
    near += [(a, words.random.choice(LOOKS)) for a, _ in found]
    options = list(dict.fromkeys(tuple(sorted(two)) for two in (*found, *near) if two[0] != two[1]))
    wanted = [
        options.index(tuple(sorted(map(look, s.things)))) if s.pair else LEFT_OUT for s in shown
    ]
    return Question("pair", [words.pair(*two) for two in options], wanted)


def targets(shown: list[Scene]) -> dict[str, torch.Tensor]:
    """Return what the helping head must say of every patch."""
    found = [labels(one, (0.0, 0.0, SIDE, SIDE), GRID, PATCH) for one in shown]
    return {name: torch.from_numpy(np.stack([one[name] for one in found])) for name in TOLD}


def set_rate(optimizers: list[torch.optim.Optimizer], step: int, steps: int) -> None:
    """Rise linearly, then fall along a cosine."""
    fall = 0.02 + 0.98 * (1 + math.cos(math.pi * step / steps)) / 2
    for optimizer in optimizers:
        for group in optimizer.param_groups:
            group["lr"] = PEAK_RATE * min(1.0, (step + 1) / WARM_UP) * fall
