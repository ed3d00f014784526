"""One step of training, and the learning rate on the way."""

import math

import torch


def descend(
    optimizer: torch.optim.Optimizer, loss: torch.Tensor, learned: list[torch.nn.Parameter]
) -> None:
    optimizer.zero_grad()
    loss.backward()
    torch.nn.utils.clip_grad_norm_(learned, 1.0)
    optimizer.step()


def set_rate(optimizer: torch.optim.Optimizer, peak: float, step: int, steps: int) -> None:
    """Rise linearly over 60 steps, then fall along a cosine to a fiftieth of the peak."""
    fall = 0.02 + 0.98 * (1 + math.cos(math.pi * step / steps)) / 2
    for group in optimizer.param_groups:
        group["lr"] = peak * group.get("share", 1.0) * min(1.0, (step + 1) / 60) * fall
