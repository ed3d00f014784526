"""Baseline of MLX: mlx-lm's own batch loop in a bare process. No HTTP, no text, greedy.

Reads ``{"texts": […], "max_tokens": n, "lanes": n}`` per line and answers
``{"tokens": n, "seconds": s}``.
"""

from __future__ import annotations

import argparse
import importlib
from typing import Any

import mlx.core as mx

from bench.baselines.driver import serve


class RawLoop:
    """A model and its tokeniser. ``float32`` computes in it, whatever the folder says."""

    def __init__(self, folder: str, *, float32: bool) -> None:
        self._model, self._tokenizer = importlib.import_module("mlx_lm").load(folder)
        if float32:
            self._model.apply(_widened)
            mx.eval(self._model.parameters())
        self._ends = set(self._tokenizer.eos_token_ids)

    def run(self, texts: list[str], max_tokens: int, lanes: int) -> int:
        """Answer every text, ``lanes`` at a time; the tokens of the answers without their ends."""
        prompts = [self._tokenizer.encode(text, add_special_tokens=False) for text in texts]
        generate = importlib.import_module("mlx_lm.generate")  # a function has the same name
        loop = generate.BatchGenerator(
            self._model,
            max_tokens=max_tokens,
            stop_tokens=[[end] for end in self._ends],
            completion_batch_size=lanes,
            prefill_batch_size=lanes,
        )
        loop.insert(prompts)
        total, open_answers = 0, len(prompts)
        while open_answers:
            for answer in loop.next_generated():
                total += answer.token not in self._ends
                open_answers -= answer.finish_reason is not None
        loop.close()
        return total


def _widened(weight: Any) -> Any:
    return weight.astype(mx.float32) if mx.issubdtype(weight.dtype, mx.floating) else weight


def main() -> None:
    """Serve measurements over standard input and output until the input ends."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("model")
    parser.add_argument("--threads", type=int, help="ignored: on CPUs MLX computes with one")
    parser.add_argument("--float32", action="store_true")
    options = parser.parse_args()
    serve(RawLoop(options.model, float32=options.float32).run)


if __name__ == "__main__":
    main()
