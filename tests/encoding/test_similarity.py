"""Cosines and probabilities, against values worked out by hand."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest

from app.encoding.similarity import cosines, likeness, probabilities
from app.provider.card import EncoderFacts


def vector(*numbers: float) -> bytes:
    return np.array(numbers, "<f4").tobytes()


def test_rows_are_compared_with_columns() -> None:
    found = cosines([vector(3, 0), vector(1, 1)], [vector(1, 0), vector(0, 2), vector(-5, 0)])
    half = math.sqrt(0.5)
    assert found == pytest.approx(np.array([[1, 0, -1], [half, half, -half]]))


def test_a_cosine_is_never_beyond_one_and_an_empty_vector_is_like_nothing() -> None:
    odd = vector(0.1, 0.7, 0.3)
    assert cosines([odd], [odd])[0, 0] <= 1.0
    assert cosines([vector(0, 0)], [vector(1, 0)]).tolist() == [[0.0]]


def test_opposites_are_not_alike() -> None:
    assert likeness(np.array([[-0.5, 0.25]])).tolist() == [[0.0, 0.25]]


CLIP = EncoderFacts(pairing="softmax", scale=100.0)
COSINES = np.array([[0.30, 0.28], [0.10, 0.10]])


def test_softmax_divides_one_among_the_texts_of_an_image() -> None:
    found = probabilities(COSINES, CLIP)
    assert found is not None
    first = 1 / (1 + math.exp(-2))
    assert found == pytest.approx(np.array([[first, 1 - first], [0.5, 0.5]]))


def test_sigmoid_takes_each_pair_by_itself() -> None:
    found = probabilities(COSINES, EncoderFacts(pairing="sigmoid", scale=100.0, bias=-10.0))
    assert found is not None
    expected = [[1 / (1 + math.exp(-20)), 1 / (1 + math.exp(-18))], [0.5, 0.5]]
    assert found == pytest.approx(np.array(expected))


def test_without_a_scale_nothing_is_guessed() -> None:
    assert probabilities(COSINES, replace(CLIP, scale=0.0)) is None
    assert probabilities(COSINES, EncoderFacts(scale=100.0)) is None
