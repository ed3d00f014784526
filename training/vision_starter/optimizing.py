"""One step of training, how precisely it computes, and the learning rate on the way."""

import math
from dataclasses import dataclass
from typing import TypeVar

import torch

M = TypeVar("M", bound=torch.nn.Module)


@dataclass(frozen=True)
class Course:
    """How long to train, from which seed the examples come, and the highest learning rate."""

    steps: int
    seed: int
    peak: float


def descend(
    optimizer: torch.optim.Optimizer, loss: torch.Tensor, learned: list[torch.nn.Parameter]
) -> None:
    optimizer.zero_grad()
    loss.backward()
    torch.nn.utils.clip_grad_norm_(learned, 1.0)
    optimizer.step()


def set_rate(optimizer: torch.optim.Optimizer, course: Course, step: int) -> None:
    """Rise linearly over 60 steps, then fall along a cosine to a fiftieth of the peak."""
    fall = 0.02 + 0.98 * (1 + math.cos(math.pi * step / course.steps)) / 2
    for group in optimizer.param_groups:
        group["lr"] = course.peak * group.get("share", 1.0) * min(1.0, (step + 1) / 60) * fall


def rounded(model: M) -> M:
    """Return the model with the weights that every format can hold."""
    return model.half().float().eval()


def mixed() -> torch.autocast:
    """Multiply in bfloat16: precise enough to learn, a third faster where the processor can."""
    return torch.autocast("cpu", dtype=torch.bfloat16)
