"""Baseline of ONNX: ``onnxruntime_genai.Generator`` in a bare process. No HTTP, greedy.

A request has a Generator; several are taken in turn, a token each.

Reads ``{"texts": […], "max_tokens": n, "lanes": n}`` per line and answers
``{"tokens": n, "seconds": s}``.
"""

from __future__ import annotations

import argparse
import json
from collections import deque

import onnxruntime_genai as og

from bench.baselines.driver import serve


class RawLoop:
    """A model and its tokeniser, both of the library."""

    def __init__(self, folder: str, threads: int) -> None:
        config = og.Config(folder)
        session = {"session_options": {"intra_op_num_threads": threads}}
        config.overlay(json.dumps({"model": {"decoder": session}}))
        self._model = og.Model(config)
        self._tokenizer = og.Tokenizer(self._model)
        self._ends = set(self._tokenizer.eos_token_ids.tolist())

    def run(self, texts: list[str], max_tokens: int, lanes: int) -> int:
        """Answer every text, ``lanes`` at a time; the tokens of the answers without their ends."""
        waiting, total = deque(texts), 0
        active = [self._begin(waiting.popleft(), max_tokens) for _ in texts[:lanes]]
        while active:
            for place, one in enumerate(active):
                one.generate_next_token()
                total += int(one.get_next_tokens()[0]) not in self._ends
                if one.is_done() and waiting:
                    active[place] = self._begin(waiting.popleft(), max_tokens)
            active = [one for one in active if not one.is_done()]
        return total

    def _begin(self, text: str, max_tokens: int) -> og.Generator:
        tokens = self._tokenizer.encode(text)
        options = og.GeneratorParams(self._model)
        options.set_search_options(do_sample=False, max_length=len(tokens) + max_tokens)
        generator = og.Generator(self._model, options)
        generator.append_tokens(tokens)
        return generator


def main() -> None:
    """Serve measurements over standard input and output until the input ends."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("model")
    parser.add_argument("--threads", type=int, required=True)
    options = parser.parse_args()
    serve(RawLoop(options.model, options.threads).run)


if __name__ == "__main__":
    main()
