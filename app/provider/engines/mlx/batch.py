"""mlx-lm's ``BatchGenerator`` with its rows named by jobs. Belongs to one thread, as MLX does.

One ``step`` computes one token for every running row and then a chunk of every prompt in prefill.
mlx-lm computes one token ahead: a token is reported while the next one is computed.
"""

from __future__ import annotations

import copy
import importlib
import math
from array import array
from collections.abc import Sequence
from typing import Any

import mlx.core as mx

from app.provider.engines.mlx.model import MlxModel
from app.provider.engines.mlx.sampler import make_logits_processors, make_sampler
from app.provider.generation.output_stream import NO_TOKEN
from app.provider.types import Sampling

_NEVER = 2**30
"""Tokens after which mlx-lm would end an answer by itself."""


Cache = list[Any]
"""Keys and values of one sequence: an object of mlx-lm for each layer."""


class Batch:
    """At most ``rows`` requests that ``model`` computes together."""

    def __init__(self, model: MlxModel, rows: int) -> None:
        generate = importlib.import_module("mlx_lm.generate")  # a function has the same name
        self._model = model
        self._generator = generate.BatchGenerator(
            model, completion_batch_size=rows, prefill_batch_size=rows
        )
        self._rows: dict[int, int] = {}  # job → mlx-lm's number
        self._jobs: dict[int, int] = {}
        self._begun: set[int] = set()  # mlx-lm's numbers of answers that have a token

    def add(
        self,
        job: int,
        cached_tokens: array[int],
        cache: Cache,
        new_tokens: array[int],
        sampling: Sampling,
    ) -> None:
        """Begin to prefill ``new_tokens``; ``cache`` holds the keys of ``cached_tokens``."""
        (row,) = self._generator.insert(
            [new_tokens.tolist()],
            max_tokens=[_NEVER],
            caches=[cache],
            all_tokens=[cached_tokens.tolist()],
            samplers=[make_sampler(sampling)],
            logits_processors=[make_logits_processors(sampling)],
        )
        self._rows[job], self._jobs[row] = row, job

    def step(self, chunk: int) -> tuple[dict[int, int], dict[int, int]]:
        """Advance all rows; at most ``chunk`` tokens of each prompt.

        Returns how many new tokens of each prompt are computed, and the tokens drawn, both by job.
        NO_TOKEN stands for NaN, which is checked at the first token only: every check waits for
        the device.
        """
        self._generator.prefill_step_size = chunk
        prompts, answers = self._generator.next()
        read = {self._jobs[one.uid]: one.progress[0] for one in prompts}
        return read, {self._jobs[one.uid]: self._token(one) for one in answers}

    def _token(self, answer: Any) -> int:
        if answer.uid in self._begun:
            return int(answer.token)
        self._begun.add(answer.uid)
        return NO_TOKEN if math.isnan(answer.logprobs[0].item()) else int(answer.token)

    def cache_of(self, job: int) -> tuple[array[int], Cache]:
        """The computed tokens of a job, and their cache, which must be ``settle``d to be kept."""
        row = self._rows[job]
        with mx.stream(self._generator.stream):
            cache, tokens = self._generator.extract_cache([row])[row]
        return array("i", tokens), self._model.sequence_cache(cache)

    def settle(self, cache: Cache) -> Cache:
        """Copy a row out of the arrays of the whole batch, which it would keep alive."""
        with mx.stream(self._generator.stream):
            mx.eval([one.state for one in cache])
        return cache

    def remove(self, jobs: Sequence[int]) -> None:
        """Take jobs out of the batch."""
        rows = [self._rows.pop(job) for job in jobs]
        for row in rows:
            del self._jobs[row]
            self._begun.discard(row)
        with mx.stream(self._generator.stream):
            self._generator.remove(rows)

    def close(self) -> None:
        """Undo what mlx-lm has set for the whole process."""
        self._generator.close()


def shortened(cache: Cache, tokens: int) -> Cache:
    """Copy ``cache`` without its last ``tokens``; the arrays are shared."""
    shorter = copy.deepcopy(cache)
    if tokens:
        for layer in shorter:
            layer.trim(tokens)
    return shorter
