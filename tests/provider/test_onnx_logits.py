"""Logits of our batches against onnxruntime-genai's own Generator, for the same tokens."""

from __future__ import annotations

import random
from array import array
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest

from app.provider.engine import ENGINES, EngineLimits, EngineSpec, load
from tests.provider.asking import STARTERS
from tests.provider.numbers import check_engine

pytest.importorskip("onnxruntime")
og = pytest.importorskip("onnxruntime_genai")

from app.provider.engines.onnx.graph import DecodeRunner, Graph, PrefillRunner
from app.provider.engines.onnx.kv_arena import KvArena
from app.provider.engines.onnx.rows import Row, Rows
from app.provider.engines.onnx.settings import read_settings
from app.provider.generation.prefix_cache import PrefixStore

FOLDER = STARTERS["onnx"]
TOLERANCE = 2e-5
"""Logits are about 10. Where this was written they were equal to the last bit; kernels of another
processor may sum a batch in another order."""

Logits = npt.NDArray[np.float32]


def some_tokens(seed: int, length: int) -> list[int]:
    dice = random.Random(seed)
    return [dice.randrange(256, 3000) for _ in range(length)]


def of_generator(tokens: list[int], more: list[int], piece: int = 64) -> list[Logits]:
    """Logits after ``tokens``, and after each of ``more``.

    It reads the prompt in the same pieces: kernels for one token and for many round differently.
    """
    model = og.Model(str(FOLDER))
    generator = og.Generator(model, og.GeneratorParams(model))
    *prompt, last = tokens
    for start in range(0, len(prompt), piece):
        generator.append_tokens(prompt[start : start + piece])
    rows = []
    for token in [last, *more]:
        generator.append_tokens([token])
        rows.append(generator.get_logits()[0, -1].copy())
    return rows


class Bench:
    """The parts of the engine below its queue."""

    def __init__(self, slots: int = 4, length: int = 1024, cells: int = 4096) -> None:
        settings = read_settings(Path(FOLDER))
        graph = Graph(settings, "cpu", threads=2)
        self.arena = KvArena(graph.shapes, slots, length, graph.kv_type)
        self.rows = Rows(self.arena, cells, PrefixStore(2**24))
        self.prefill_runner = PrefillRunner(graph, settings, self.arena)
        self.decode_runner = DecodeRunner(graph, settings, self.arena)

    def read(self, tokens: list[int], piece: int) -> Row:
        """Read all tokens but the last in pieces, and start the row."""
        row = self.rows.claim("", array("i", tokens), len(tokens) + 64)
        assert row
        while len(row.tokens) < len(tokens) - 1:
            done = len(row.tokens)
            next_ones = tokens[done : min(done + piece, len(tokens) - 1)]
            self.prefill_runner.run(row.index, done, np.array(next_ones, np.int64))
            row.tokens.extend(next_ones)
        self.rows.start(row)
        return row

    def write(self, rows: list[Row], tokens: list[int]) -> Logits:
        """Compute one token of each running row; ``rows`` in the order of their index."""
        self.decode_runner.arrange([len(row.tokens) for row in rows])
        logits = self.decode_runner.step(tokens).copy()
        for row, token in zip(rows, tokens, strict=True):
            row.tokens.append(token)
        return logits


def test_log_probabilities_are_those_of_the_model() -> None:
    engine = load(EngineSpec(ENGINES["onnx"], str(FOLDER), EngineLimits()), lambda _: None)
    check_engine(engine, lambda tokens, answer: of_generator(tokens, answer[:-1]))


@pytest.mark.parametrize("piece", [1, 7, 64, 512])
def test_a_prompt_read_in_pieces(piece: int) -> None:
    tokens, more = some_tokens(1, 300), some_tokens(2, 4)
    expected = of_generator(tokens, more, piece)
    bench = Bench(length=305)  # no more than is needed
    row = bench.read(tokens, piece)
    for token, wanted in zip([tokens[-1], *more], expected, strict=True):
        (logits,) = bench.write([row], [token])
        np.testing.assert_allclose(logits, wanted, rtol=0, atol=TOLERANCE)


def test_rows_of_different_lengths_in_one_call() -> None:
    prompts = [some_tokens(seed, length) for seed, length in enumerate([3, 40, 300, 255])]
    more = [some_tokens(10 + seed, 5) for seed in range(4)]
    bench = Bench()
    rows = [bench.read(tokens, 64) for tokens in prompts]
    expected = [of_generator(tokens, rest) for tokens, rest in zip(prompts, more, strict=True)]
    for step in range(6):
        pending = [(tokens[-1:] + rest)[step] for tokens, rest in zip(prompts, more, strict=True)]
        logits = bench.write(rows, pending)
        wanted = np.stack([one[step] for one in expected])
        np.testing.assert_allclose(logits, wanted, rtol=0, atol=TOLERANCE)


def test_a_row_does_not_notice_those_beside_it() -> None:
    prompts = [some_tokens(seed, length) for seed, length in enumerate([90, 17, 200, 60])]
    together = Bench()
    rows = [together.read(tokens, 64) for tokens in prompts]
    beside = together.write(rows, [tokens[-1] for tokens in prompts])
    for tokens, logits in zip(prompts, beside, strict=True):
        alone = Bench()
        (wanted,) = alone.write([alone.read(tokens, 64)], tokens[-1:])
        np.testing.assert_array_equal(logits, wanted)


def test_a_row_that_is_moved_goes_on_as_before() -> None:
    prompts = [some_tokens(seed, length) for seed, length in enumerate([30, 90, 50])]
    more = some_tokens(9, 3)
    expected = of_generator(prompts[2], more)
    bench = Bench()
    first, second, last = [bench.read(tokens, 64) for tokens in prompts]
    bench.write([first, second, last], [tokens[-1] for tokens in prompts])
    bench.rows.release(first)
    assert (last.index, second.index) == (0, 1)
    logits = bench.write([last, second], [more[0], 5])
    np.testing.assert_allclose(logits[0], expected[1], rtol=0, atol=TOLERANCE)
    bench.rows.release(second)
    (logits,) = bench.write([last], [more[1]])
    np.testing.assert_allclose(logits, expected[2], rtol=0, atol=TOLERANCE)


def test_prompts_that_are_read_out_of_order_change_places() -> None:
    long, short = some_tokens(1, 200), some_tokens(2, 20)
    bench = Bench(slots=2)
    waiting = bench.rows.claim("", array("i", long), 300)
    assert waiting
    bench.prefill_runner.run(waiting.index, 0, np.array(long[:100], np.int64))
    waiting.tokens.extend(long[:100])
    done = bench.read(short, 64)
    assert (done.index, waiting.index) == (0, 1)
    bench.prefill_runner.run(waiting.index, 100, np.array(long[100:-1], np.int64))
    waiting.tokens.extend(long[100:-1])
    bench.rows.start(waiting)
    logits = bench.write([done, waiting], [short[-1], long[-1]])
    for row, tokens in zip(logits, (short, long), strict=True):
        np.testing.assert_allclose(row, of_generator(tokens, [])[0], rtol=0, atol=TOLERANCE)


def test_a_reused_prefix_gives_the_same_logits() -> None:
    head, tails = some_tokens(1, 120), [some_tokens(seed, 30) for seed in (2, 3)]
    bench = Bench()
    bench.rows.release(bench.read(head + tails[0], 64))
    kept = bench.rows.claim("", array("i", head + tails[1]), 200)
    assert kept
    assert len(kept.tokens) == len(head)
    bench.rows.release(kept)
    (logits,) = bench.write([bench.read(head + tails[1], 64)], tails[1][-1:])
    np.testing.assert_allclose(logits, of_generator(head + tails[1], [])[0], rtol=0, atol=TOLERANCE)


def test_memory_that_is_too_much_is_given_back() -> None:
    """Every row once held a long prompt; together they never hold more than promised."""
    bench = Bench(slots=4, length=1024, cells=1200)
    for seed in range(4):
        held = [bench.read(some_tokens(10 + n, 20), 64) for n in range(seed)]
        row = bench.read(some_tokens(seed, 700), 512)
        real = list(bench.arena.written)
        for one in (row, *held):
            real[one.index] = max(real[one.index], len(one.tokens))
        assert sum(real) <= 1200
        for one in (row, *reversed(held)):
            bench.rows.release(one)


def test_memory_of_free_rows_is_given_back_for_one_long_prompt() -> None:
    bench = Bench(slots=4, length=1024, cells=1200)
    for row in [bench.read(some_tokens(seed, 300), 512) for seed in range(3)][::-1]:
        bench.rows.release(row)
    assert sum(bench.arena.written) == 3 * 299
    bench.rows.release(bench.read(some_tokens(9, 900), 512))
    assert sum(bench.arena.written) <= 1200


def test_a_running_row_is_no_source_for_other_owners() -> None:
    tokens = some_tokens(1, 200)
    bench = Bench()
    bench.read(tokens, 64)
    same = bench.rows.claim("", array("i", tokens), 250)
    other = bench.rows.claim("other", array("i", tokens), 250)
    assert same
    assert other
    assert (len(same.tokens), len(other.tokens)) == (199, 0)


def test_no_row_without_room() -> None:
    bench = Bench(cells=500)
    first = bench.rows.claim("", array("i", some_tokens(1, 200)), 300)
    assert first
    assert bench.rows.claim("", array("i", some_tokens(2, 200)), 201) is None
    assert bench.rows.claim("", array("i", some_tokens(2, 200)), 200)
