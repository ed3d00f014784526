"""Muon: steps in which every direction of a weight matrix counts alike.

It needs far fewer batches than AdamW for the matrices inside of a transformer; everything else
(embeddings, filters, norms, biases) stays with AdamW.
"""

from collections.abc import Iterable

import torch

MOMENTUM = 0.95
ROUNDS, CUBIC = 5, (3.4445, -4.7750, 2.0315)  # of Newton and Schulz's iteration


class Muon(torch.optim.Optimizer):
    """Momentum, orthogonalised, with steps as large as those of AdamW at the same rate."""

    def __init__(self, matrices: Iterable[torch.nn.Parameter], weight_decay: float) -> None:
        super().__init__(matrices, {"lr": 0.0, "weight_decay": weight_decay})

    @torch.no_grad()
    def step(self, closure: None = None) -> None:  # type: ignore[override]
        """Change every matrix that has a gradient."""
        for group in self.param_groups:
            for matrix in group["params"]:
                if matrix.grad is not None:
                    self._change(matrix, group["lr"], group["weight_decay"])

    def _change(self, matrix: torch.nn.Parameter, rate: float, decay: float) -> None:
        assert matrix.grad is not None
        state = self.state[matrix]
        mean = state.setdefault("mean", torch.zeros_like(matrix))
        mean.lerp_(matrix.grad, 1 - MOMENTUM)
        change = orthogonal(matrix.grad.lerp(mean, MOMENTUM))
        matrix.mul_(1 - rate * decay)
        matrix.add_(change, alpha=-0.2 * rate * max(matrix.shape) ** 0.5)


def orthogonal(matrix: torch.Tensor) -> torch.Tensor:
    """Return nearly the matrix with the same directions whose singular values are all 1."""
    if matrix.shape[0] > matrix.shape[1]:
        return orthogonal(matrix.T).T
    one, three, five = CUBIC
    found = matrix / (matrix.norm() + 1e-7)
    for _ in range(ROUNDS):
        square = found @ found.T
        found = one * found + (three * square + five * square @ square) @ found
    return found
