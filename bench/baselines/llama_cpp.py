"""The baseline: llama.cpp's own batch loop in a bare process. No HTTP, no text, greedy.

The lanes share one unified memory, or each has a KV stream of its own (``--kv-streams``).

Reads ``{"texts": […], "max_tokens": n, "lanes": n}`` per line and answers
``{"tokens": n, "seconds": s}``.
"""

from __future__ import annotations

import argparse
import ctypes
from collections import deque
from dataclasses import dataclass
from typing import Any

import llama_cpp as lc

from bench.baselines.driver import LANES, serve

N_BATCH = 2048


@dataclass
class Sequence:
    """One lane of the batch: what goes in next, at which position, and how much came out."""

    lane: int
    pending: list[int]
    position: int = 0
    produced: int = 0


class RawLoop:
    """A model, a context and one reusable batch."""

    def __init__(self, model: str, params: Any) -> None:
        self._model = lc.llama_model_load_from_file(model.encode(), lc.llama_model_default_params())
        self._vocab = lc.llama_model_get_vocab(self._model)
        self._ctx = lc.llama_init_from_model(self._model, params)
        self._memory = lc.llama_get_memory(self._ctx)
        self._batch = lc.llama_batch_init(N_BATCH, 0, 1)
        self._greedy = lc.llama_sampler_init_greedy()

    def run(self, texts: list[str], max_tokens: int, lanes: int) -> int:
        """Answer every text, ``lanes`` at a time; the tokens of the answers without their ends."""
        lc.llama_memory_clear(self._memory, False)
        waiting = deque(self._tokens(text) for text in texts)
        active = [Sequence(lane, waiting.popleft()) for lane in range(min(lanes, len(texts)))]
        total = 0
        while active:
            self._step(active)
            total += sum(not self._is_end(one.pending[0]) for one in active)
            active = [self._next(one, waiting, max_tokens) or one for one in active]
            active = [one for one in active if one.pending]
        return total

    def _next(self, one: Sequence, waiting: deque[list[int]], max_tokens: int) -> Sequence | None:
        """What follows a finished sequence in its lane; None while it goes on."""
        if one.produced < max_tokens and not self._is_end(one.pending[0]):
            return None
        lc.llama_memory_seq_rm(self._memory, one.lane, -1, -1)
        return Sequence(one.lane, waiting.popleft() if waiting else [])

    def _is_end(self, token: int) -> bool:
        return bool(lc.llama_vocab_is_eog(self._vocab, token))

    def _step(self, active: list[Sequence]) -> None:
        outputs = [self._put(one) for one in active]
        if lc.llama_decode(self._ctx, self._batch) != 0:
            raise RuntimeError("llama_decode failed")
        self._batch.n_tokens = 0
        for one, output in zip(active, outputs, strict=True):
            one.pending = [lc.llama_sampler_sample(self._greedy, self._ctx, output)]
            one.produced += 1

    def _put(self, one: Sequence) -> int:
        """Append what is pending to the batch; the index whose logits are wanted."""
        batch = self._batch
        for token in one.pending:
            index = batch.n_tokens
            batch.token[index] = token
            batch.pos[index] = one.position
            batch.n_seq_id[index] = 1
            batch.seq_id[index][0] = one.lane
            batch.logits[index] = False
            batch.n_tokens += 1
            one.position += 1
        batch.logits[index] = True
        return int(index)

    def _tokens(self, text: str) -> list[int]:
        data = text.encode()
        buffer = (lc.llama_token * (len(data) + 8))()
        size = len(buffer)
        count = lc.llama_tokenize(self._vocab, data, len(data), buffer, size, True, True)
        return list(buffer[:count])


def _context(options: argparse.Namespace) -> Any:
    params = lc.llama_context_default_params()
    params.n_ctx = options.context
    params.n_batch = N_BATCH
    params.n_seq_max = options.lanes
    params.n_threads = params.n_threads_batch = options.threads
    params.kv_unified = not options.kv_streams
    params.no_perf = True
    return params


SILENT = lc.llama_log_callback(lambda _level, _text, _data: None)
"""Drops llama.cpp's log; kept here because C keeps only a pointer to it."""


def main() -> None:
    """Serve measurements over standard input and output until the input ends."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("model")
    parser.add_argument("--threads", type=int, required=True)
    parser.add_argument("--lanes", type=int, default=LANES)
    parser.add_argument("--context", type=int, default=16_384, help="cells of all lanes together")
    parser.add_argument("--kv-streams", action="store_true", help="each lane has its own cells")
    options = parser.parse_args()
    lc.llama_log_set(SILENT, ctypes.c_void_p(0))
    serve(RawLoop(options.model, _context(options)).run)


if __name__ == "__main__":
    main()
