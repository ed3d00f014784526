"""The engine of encoders on its own: whose turn it is, what is computed together, what comes out.

Everything is counted in steps, which are forward passes; nothing here measures time.
"""

from __future__ import annotations

import random
from collections import defaultdict
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from app.provider.encoding.batch import BatchLimits, fill
from app.provider.encoding.engine import EncoderEngine
from app.provider.encoding.runner import EncodePart, EncoderItem
from app.provider.engine import Events
from app.provider.engines.echo.encoder import EchoRunner
from app.provider.errors import InputTooLong, ProviderError, UnsupportedInput
from app.provider.types import Encode, End, Started, TextPart

Vectors = NDArray[np.float32]
BIG = tuple(TextPart("word " * (1 + n % 60)) for n in range(600))


class WatchedRunner(EchoRunner):
    """Keeps the lengths of each batch, and counts what is prepared and not computed yet."""

    def __init__(self, **kind: bool) -> None:
        super().__init__(**kind)
        self.batches: list[list[int]] = []
        self.prepared = 0
        self.most_ahead = 0

    def prepare(self, part: EncodePart, **options: Any) -> EncoderItem:
        self.prepared += 1
        computed = sum(map(len, self.batches))
        self.most_ahead = max(self.most_ahead, self.prepared - computed)
        return super().prepare(part, **options)

    def forward(self, batch: Sequence[EncoderItem]) -> Vectors:
        self.batches.append([len(item.tokens) for item in batch])
        return super().forward(batch)


class Driver:
    """An engine, and what it said to each job."""

    def __init__(self, runner: EchoRunner | None = None, **options: Any) -> None:
        self.runner = runner or WatchedRunner()
        self.engine = EncoderEngine(self.runner, 8, **options)
        self.events: dict[int, list[Any]] = defaultdict(list)

    def submit(self, job: int, task: Encode) -> None:
        assert self.engine.admit(job, self.engine.prepare(task))

    def step(self) -> Events:
        events = self.engine.step()
        for job, event in events:
            self.events[job].append(event)
        return events

    def run(self, job: int) -> int:
        """Step until the job has ended; returns how many steps that took."""
        for steps in range(1, 2000):
            self.step()
            if self.ended(job):
                return steps
        raise AssertionError("It does not end.")

    def ended(self, job: int) -> bool:
        return any(isinstance(one, End | ProviderError) for one in self.events[job])

    def vectors(self, job: int) -> Vectors:
        """The vectors of a job that has ended, in the order of its items."""
        first, *encoded, end = self.events[job]
        assert isinstance(first, Started)
        assert isinstance(end, End)
        rows = {one.index: np.frombuffer(one.vector, "<f4") for one in encoded}
        assert len(rows) == len(encoded)
        return np.stack([rows[index] for index in range(len(rows))])


def texts(*texts: str, **options: Any) -> Encode:
    return Encode(tuple(map(TextPart, texts)), **options)


def test_every_item_of_every_job_is_answered_once_whatever_runs_beside_it() -> None:
    dice = random.Random(3)
    tasks = [
        texts(
            *(f"w{dice.randrange(99)} " * dice.randint(1, 99) for _ in range(dice.randint(1, 40)))
        )
        for _ in range(20)
    ]
    together = Driver()
    for job, task in enumerate(tasks):
        together.submit(job, task)
    while not all(together.ended(job) for job in range(20)):
        together.step()
    for job, task in enumerate(tasks):
        alone = Driver()
        alone.submit(0, task)
        alone.run(0)
        assert np.allclose(together.vectors(job), alone.vectors(0), atol=1e-6)
        usage = together.events[job][-1].usage
        assert usage.prompt_tokens == sum(one.tokens for one in together.events[job][1:-1])


def test_a_short_text_beside_a_large_request_waits_for_one_pass_at_most() -> None:
    """It is in the pass after the running one, whatever its length, at any moment."""
    driver = Driver()
    driver.submit(0, Encode(BIG))
    job = 0
    while not driver.ended(0):
        driver.step()
        job += 1
        driver.submit(job, texts("short " * (1 + 7 * job % 50)))
        assert driver.run(job) == 1
    assert job > 10
    assert len(driver.vectors(0)) == len(BIG)


def test_many_short_texts_do_not_starve_a_large_request() -> None:
    """Forty of them fill each pass, and others come as soon as they are answered."""
    driver = Driver()
    driver.submit(0, Encode(BIG[:100]))
    waiting: list[int] = []
    for step in range(300):
        for job in range(40 * step + 1, 40 * step + 41 - len(waiting)):
            driver.submit(job, texts("short " * 25))
            waiting.append(job)
        driver.step()
        waiting = [job for job in waiting if not driver.ended(job)]
        if driver.ended(0):
            break
    assert driver.ended(0)


def test_a_batch_has_little_padding_and_the_tokens_that_it_may_have() -> None:
    runner = WatchedRunner()
    driver = Driver(runner)
    driver.submit(0, texts(*("w " * (1 + 7 * n % 500) for n in range(400)), "w " * 511))
    driver.run(0)
    padded = [len(batch) * max(batch) for batch in runner.batches]
    assert max(padded) <= BatchLimits().tokens
    wasted = [1 - sum(batch) / size for batch, size in zip(runner.batches, padded, strict=True)]
    assert max(wasted) <= BatchLimits().padding
    assert sum(padded) / len(padded) > BatchLimits().tokens / 2


def test_what_is_not_padded_is_counted_as_it_is() -> None:
    runner = WatchedRunner()
    driver = Driver(runner, limits=BatchLimits(tokens=100, items=4, padded=False))
    driver.submit(0, texts("w", "w " * 60, "w " * 30, "w", "w", "w", "w " * 200))
    driver.run(0)
    assert sorted(map(sum, runner.batches))[-1] == 201
    assert [batch for batch in runner.batches if len(batch) > 1 and sum(batch) > 100] == []
    assert max(map(len, runner.batches)) == 4


def test_items_are_prepared_a_few_passes_ahead_only() -> None:
    runner = WatchedRunner()
    driver = Driver(runner)
    driver.submit(0, Encode(BIG))
    assert 0 < runner.prepared < 60
    before = runner.prepared
    driver.step()
    assert runner.prepared - before < 120
    driver.run(0)
    assert runner.prepared == len(BIG)
    assert runner.most_ahead < 400


def test_a_text_that_is_too_long_ends_its_own_job_only() -> None:
    driver = Driver()
    with pytest.raises(InputTooLong, match=r"index 1 has 601 tokens .* at most 512"):
        driver.engine.prepare(texts("fine", "w " * 600))
    driver.submit(0, texts(*["w " * 100] * 50, "w " * 600))  # seen only later
    driver.submit(1, texts(*["w " * 100] * 50))
    driver.run(1)
    *_, error = driver.events[0]
    assert isinstance(error, InputTooLong)
    assert (error.index, error.needed, error.limit) == (50, 601, 512)
    assert len(driver.vectors(1)) == 50
    assert driver.step() == []


def test_a_dropped_job_is_not_computed_any_more() -> None:
    runner = WatchedRunner()
    driver = Driver(runner)
    driver.submit(0, Encode(BIG))
    driver.submit(1, texts("one"))
    driver.step()
    driver.engine.drop(0)
    assert driver.step() == []
    passes = len(runner.batches)
    driver.submit(2, texts("two"))
    assert driver.run(2) == 1
    assert len(runner.batches) == passes + 1


def test_vectors_are_cut_before_they_get_the_length_one() -> None:
    driver = Driver()
    asked: list[dict[str, Any]] = [
        {},
        {"dimensions": 16},
        {"normalize": False},
        {"dimensions": 128},
    ]
    for job, options in enumerate(asked):
        driver.submit(job, texts("some words", "and others", **options))
    driver.run(3)
    whole, cut, raw, same = map(driver.vectors, range(4))
    assert np.allclose(np.linalg.norm(whole, axis=1), 1)
    assert np.allclose(np.linalg.norm(cut, axis=1), 1)
    assert np.allclose(cut, raw[:, :16] / np.linalg.norm(raw[:, :16], axis=1)[:, None], atol=1e-6)
    assert np.array_equal(whole, same)


def test_vectors_of_nomic_get_a_layer_norm_before_they_are_cut() -> None:
    driver, plain = Driver(layer_norm=True), Driver()
    for one in (driver, plain):
        one.submit(0, texts("some words", dimensions=16, normalize=False))
        one.submit(1, texts("some words", normalize=False))
        one.run(1)
    whole = driver.vectors(1)[0]
    assert np.array_equal(whole, plain.vectors(1)[0])
    expected = (whole - whole.mean()) / np.sqrt(whole.var() + 1e-5)
    assert np.allclose(driver.vectors(0)[0], expected[:16], atol=1e-5)
    assert not np.allclose(driver.vectors(0), plain.vectors(0), atol=1e-2)


@pytest.mark.parametrize("dimensions", [0, -1, 129])
def test_dimensions_that_there_are_not_are_refused(dimensions: int) -> None:
    with pytest.raises(UnsupportedInput, match="have 128 dimensions"):
        Driver().engine.prepare(texts("a", dimensions=dimensions))


def test_nothing_to_encode_is_refused() -> None:
    with pytest.raises(UnsupportedInput, match="nothing"):
        Driver().engine.prepare(Encode(()))


class BrokenRunner(EchoRunner):
    """Computes no numbers of a text with that word."""

    def forward(self, batch: Sequence[EncoderItem]) -> Vectors:
        rows = super().forward(batch)
        for row, item in zip(rows, batch, strict=True):
            row[:] = np.nan if len(item.tokens) == 3 else row
        return rows


def test_a_vector_without_numbers_is_an_error_of_its_job() -> None:
    driver = Driver(BrokenRunner())
    driver.submit(0, texts("a", "two words", "c"))
    driver.submit(1, texts("a", "b"))
    driver.run(0)
    assert "index 1" in str(driver.events[0][-1])
    assert len(driver.vectors(1)) == 2


def test_the_first_of_others_is_taken_where_not_all_fit() -> None:
    class Item:
        def __init__(self, size: int) -> None:
            self.size = size

    items = [Item(size) for size in (10, 10, 13, 9, 200, 11)]
    batch = fill(items[0], items[1:], BatchLimits(tokens=52, padding=0.25))
    assert [one.size for one in batch] == [10, 10, 13, 9]
