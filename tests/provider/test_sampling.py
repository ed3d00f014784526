"""The numpy sampler against llama.cpp's own, and what a seed promises."""

from __future__ import annotations

import ctypes
from collections.abc import Callable
from typing import Any

import llama_cpp
import numpy as np
import numpy.typing as npt
import pytest

from app.provider.generation.sampler import Sampler, draw_all
from app.provider.types import Sampling

WORDS = 400
Logits = npt.NDArray[np.float32]


def some_logits(seed: int = 1, size: int = WORDS) -> Logits:
    return np.random.default_rng(seed).normal(0, 3, size).astype(np.float32)


def as_candidates(logits: Logits) -> Any:
    """What llama.cpp's samplers work on."""
    data = [llama_cpp.llama_token_data(token, value, 0.0) for token, value in enumerate(logits)]
    cells = (llama_cpp.llama_token_data * len(data))(*data)
    return llama_cpp.llama_token_data_array(cells, len(data), -1, False)


def left_by_llama(logits: Logits, top_k: int, top_p: float, min_p: float) -> set[int]:
    """Tokens that llama.cpp's samplers leave, in the GGUF engine's order."""
    cells = (llama_cpp.llama_token_data * len(logits))(
        *(
            llama_cpp.llama_token_data(token, float(value), 0.0)
            for token, value in enumerate(logits)
        )
    )
    array = llama_cpp.llama_token_data_array(cells, len(logits), -1, False)
    makers: list[Callable[[], Any]] = []
    if top_k:
        makers.append(lambda: llama_cpp.llama_sampler_init_top_k(top_k))
    if top_p < 1:
        makers.append(lambda: llama_cpp.llama_sampler_init_top_p(top_p, 1))
    if min_p:
        makers.append(lambda: llama_cpp.llama_sampler_init_min_p(min_p, 1))
    for make in makers:
        sampler = make()
        llama_cpp.llama_sampler_apply(sampler, ctypes.byref(array))
        llama_cpp.llama_sampler_free(sampler)
    return {int(array.data[place].id) for place in range(array.size)}


@pytest.mark.parametrize(
    ("top_k", "top_p", "min_p"),
    [(0, 1.0, 0.0), (40, 1.0, 0.0), (0, 0.9, 0.0), (0, 1.0, 0.05), (40, 0.95, 0.05), (9, 0.5, 0.0)],
)
def test_the_same_tokens_are_left_as_by_llama_cpp(top_k: int, top_p: float, min_p: float) -> None:
    logits = some_logits()
    alike = Sampling(temperature=1000.0, top_k=top_k, top_p=top_p, min_p=min_p, seed=1)
    sampler = Sampler(alike)
    drawn = {sampler.draw(logits) for _ in range(6000)}
    assert drawn == left_by_llama(logits, top_k, top_p, min_p)


def test_tokens_are_drawn_as_often_as_their_probability_says() -> None:
    logits = np.log(np.array([0.5, 0.3, 0.15, 0.05], np.float32))
    sampler = Sampler(Sampling(temperature=1.0, top_k=0, top_p=1.0, min_p=0.0, seed=3))
    drawn = np.bincount([sampler.draw(logits) for _ in range(20_000)], minlength=4) / 20_000
    np.testing.assert_allclose(drawn, [0.5, 0.3, 0.15, 0.05], atol=0.015)


def test_temperature_comes_after_the_filters() -> None:
    """The filters look at the model's own probabilities, however hot the draw is."""
    logits = np.log(np.array([0.9, 0.06, 0.04], np.float32))
    sampler = Sampler(Sampling(temperature=50.0, top_k=0, top_p=0.8, min_p=0.0, seed=1))
    assert {sampler.draw(logits) for _ in range(200)} == {0}


def test_penalties_are_those_of_llama_cpp() -> None:
    logits = some_logits(size=12)
    ours = Sampler(
        Sampling(temperature=0, repeat_penalty=1.3, presence_penalty=0.4, frequency_penalty=0.2)
    )
    chain = llama_cpp.llama_sampler_init_penalties(12, 64, 1.3, 0.2, 0.4)
    for _ in range(60):
        array = as_candidates(logits)
        llama_cpp.llama_sampler_apply(chain, ctypes.byref(array))
        theirs = max(range(12), key=lambda place: array.data[place].logit)
        token = ours.draw(logits)
        assert token == array.data[theirs].id
        llama_cpp.llama_sampler_accept(chain, token)
    llama_cpp.llama_sampler_free(chain)


def test_the_first_of_equal_tokens_is_taken_at_temperature_0() -> None:
    logits = np.array([[0, 2, 2, 1], [3, 3, 3, 3]], np.float32)
    greedy = [Sampler(Sampling(temperature=0.0)) for _ in range(2)]
    assert draw_all(logits, greedy) == [1, 0]


def test_a_seed_gives_the_same_tokens_also_beside_others() -> None:
    logits = np.stack([some_logits(seed) for seed in range(3)])
    hot = Sampling(temperature=1.5, top_k=0, top_p=1.0, min_p=0.0, seed=5)
    alone = Sampler(hot)
    expected = [alone.draw(logits[1]) for _ in range(20)]
    row = [Sampler(Sampling(temperature=0.0)), Sampler(hot), Sampler(Sampling(temperature=2.0))]
    assert [draw_all(logits, row)[1] for _ in range(20)] == expected
    other = Sampler(Sampling(temperature=1.5, top_k=0, top_p=1.0, min_p=0.0, seed=6))
    assert [other.draw(logits[1]) for _ in range(20)] != expected


def test_half_precision_and_a_whole_vocabulary() -> None:
    logits = some_logits(size=150_000).astype(np.float16)
    sampler = Sampler(Sampling(temperature=0.7, top_k=0, top_p=0.95, min_p=0.0, seed=1))
    assert 0 <= sampler.draw(logits) < 150_000
    assert Sampler(Sampling(temperature=0.0, repeat_penalty=1.2)).draw(logits) == logits.argmax()
