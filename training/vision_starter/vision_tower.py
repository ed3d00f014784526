"""Teaches the vision tower what tokens show, before any words: it learns shapes far faster so."""

import time
from collections import defaultdict
from collections.abc import Iterator
from random import Random

import numpy as np
import torch

from training.vision_starter.drawing import Scene, any_size, scene
from training.vision_starter.labels import labels
from training.vision_starter.network import Helper, Tower, encode_images
from training.vision_starter.optimizing import Course, descend, set_rate
from training.vision_starter.pictures import Grid, grid_of, padded, patches, stretched

BATCH = 48  # pictures
PEAK_RATE = 2e-3
PADDED = 0.12  # share of the pictures with black bars
SMALL = 160  # pixels: the longest side of a picture at the beginning

PictureInput = tuple[np.ndarray, dict[str, np.ndarray], Grid]  # patches, labels, grid


def prepare(scene: Scene, random: Random) -> PictureInput:
    """Draw a scene; return its patches, its labels and its grid."""
    picture = scene.draw()
    image, frame = padded(picture, random) if random.random() < PADDED else stretched(picture)
    grid = grid_of(*picture.size)
    return patches(image), labels(scene, frame, grid), grid


def alike(random: Random, size: int, longest: int) -> Iterator[list[Scene]]:
    """Yield lists of scenes of one grid each, in the frequencies of the scenes."""
    waiting: dict[Grid, list[Scene]] = defaultdict(list)
    while True:
        measure = any_size(random)
        if max(measure) > longest:
            continue
        group = waiting[grid_of(*measure)]
        group.append(scene(random, measure))
        if len(group) == size:
            yield waiting.pop(grid_of(*measure))


def stack(
    seen: list[PictureInput],
) -> tuple[torch.Tensor, dict[str, torch.Tensor]]:
    """Put the patches and the labels of equal pictures into tensors."""
    targets = {n: torch.from_numpy(np.stack([s[1][n] for s in seen])) for n in seen[0][1]}
    return torch.from_numpy(np.stack([s[0] for s in seen])), targets


def train_vision_tower(tower: Tower, helper: Helper, course: Course) -> None:
    """Train tower and helper for so many batches; small pictures only in the first third."""
    random, steps = Random(course.seed), course.steps
    small, every = alike(random, BATCH, SMALL), alike(random, BATCH, 400)
    learned = [*tower.parameters(), *helper.parameters()]
    optimizer = torch.optim.AdamW(learned, betas=(0.9, 0.98), weight_decay=0.05)
    started, recent = time.monotonic(), defaultdict(list)
    for step in range(steps):
        set_rate(optimizer, course, step)
        scenes = next(small if step < steps // 3 else every)
        seen = [prepare(s, random) for s in scenes]
        inputs, targets = stack(seen)
        loss, right = helper(encode_images(tower, inputs, seen[0][2]), targets)
        descend(optimizer, loss, learned)
        for name, share in right.items():
            recent[name].append(share)
        if step % 50 == 49:
            shares = "  ".join(f"{n} {np.mean(s):.3f}" for n, s in recent.items())
            recent.clear()
            print(
                f"tower {step + 1}/{steps}  {time.monotonic() - started:.0f} s  {shares}",
                flush=True,
            )
