"""The arithmetic after the forward pass, beside the same one written text by text."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from app.provider.encoding.folders.settings import (
    Activation,
    DenseSettings,
    PoolingMode,
    PoolingRule,
)
from app.provider.encoding.outputs.dense import Dense
from app.provider.encoding.outputs.pooling import pool
from app.provider.errors import ModelNotLoadable
from tests.encoders.checkpoints import write_weights

Vectors = NDArray[np.float32]

LENGTHS, WIDTH, LONGEST = (1, 4, 7), 5, 7
MODES: tuple[PoolingMode, ...] = (
    "cls",
    "max",
    "mean",
    "mean_sqrt_len_tokens",
    "weightedmean",
    "lasttoken",
)


def texts() -> list[Vectors]:
    random = np.random.RandomState(3)
    return [random.standard_normal((length, WIDTH)).astype(np.float32) for length in LENGTHS]


def padded(left: bool) -> tuple[Vectors, NDArray[np.int64]]:
    """The texts in one batch, with noise where the padding is."""
    hidden = np.full((len(LENGTHS), LONGEST, WIDTH), 99, np.float32)
    mask = np.zeros((len(LENGTHS), LONGEST), np.int64)
    for row, tokens in enumerate(texts()):
        place = slice(LONGEST - len(tokens), None) if left else slice(len(tokens))
        hidden[row, place], mask[row, place] = tokens, 1
    return hidden, mask


def by_hand(tokens: Vectors, mode: str, prompt: int = 0) -> list[float]:
    """The pooled vector of one text, number by number, as sentence-transformers documents it."""
    kept = [(place, token) for place, token in enumerate(tokens, 1) if place > prompt]
    columns = [[float(token[column]) for _, token in kept] for column in range(WIDTH)]
    places = [place for place, _ in kept]
    match mode:
        case "cls":
            return [column[0] for column in columns]
        case "lasttoken":
            return [column[-1] for column in columns]
        case "max":
            return [max(column) for column in columns]
        case "mean":
            return [sum(column) / len(column) for column in columns]
        case "mean_sqrt_len_tokens":
            return [sum(column) / math.sqrt(len(column)) for column in columns]
    weighted = [sum(x * place for x, place in zip(one, places, strict=True)) for one in columns]
    return [one / sum(places) for one in weighted]


@pytest.mark.parametrize("left", [False, True])
@pytest.mark.parametrize("mode", MODES)
def test_padding_on_either_side_changes_nothing(mode: PoolingMode, left: bool) -> None:
    found = pool(*padded(left), PoolingRule((mode,)))
    assert found.dtype == np.float32
    assert np.allclose(found, [by_hand(tokens, mode) for tokens in texts()], atol=1e-6)


@pytest.mark.parametrize("left", [False, True])
@pytest.mark.parametrize("mode", MODES)
def test_the_prompt_is_left_out_where_the_rule_says_so(mode: PoolingMode, left: bool) -> None:
    prompts = (0, 2, 3)
    found = pool(*padded(left), PoolingRule((mode,), include_prompt=False), prompts)
    expected = [by_hand(text, mode, n) for text, n in zip(texts(), prompts, strict=True)]
    assert np.allclose(found, expected, atol=1e-6)
    included = pool(*padded(left), PoolingRule((mode,)), prompts)
    assert np.allclose(included, [by_hand(tokens, mode) for tokens in texts()], atol=1e-6)


def test_several_modes_stand_one_after_the_other() -> None:
    found = pool(*padded(False), PoolingRule(("max", "cls")))
    expected = [by_hand(tokens, "max") + by_hand(tokens, "cls") for tokens in texts()]
    assert np.allclose(found, expected)


# -------------------------------------------------------------------- dense


@pytest.fixture
def layer(tmp_path: Path) -> DenseSettings:
    random = np.random.RandomState(4)
    tensors = {
        "linear.weight": random.standard_normal((3, WIDTH)).astype(np.float32),
        "linear.bias": random.standard_normal(3).astype(np.float32),
        "residual.weight": random.standard_normal((3, WIDTH)).astype(np.float32),
    }
    write_weights(tmp_path / "model.safetensors", tensors)
    return DenseSettings(tmp_path / "model.safetensors", WIDTH, 3)


FUNCTIONS = {
    "identity": lambda x: x,
    "tanh": math.tanh,
    "relu": lambda x: max(x, 0.0),
    "gelu": lambda x: x * 0.5 * (1 + math.erf(x / math.sqrt(2))),
    "sigmoid": lambda x: 1 / (1 + math.exp(-x)),
    "silu": lambda x: x / (1 + math.exp(-x)),
}


@pytest.mark.parametrize("residual", [False, True])
@pytest.mark.parametrize("activation", FUNCTIONS)
def test_a_layer_computes_what_its_settings_say(
    layer: DenseSettings, activation: Activation, residual: bool
) -> None:
    changed = replace(layer, activation=activation, residual=residual)
    vectors = texts()[1]
    weight, bias, shortcut = tensors_of(layer)
    function = np.vectorize(FUNCTIONS[activation])
    expected = function(vectors.astype(np.float64) @ weight.T + bias)
    expected += vectors @ shortcut.T if residual else 0
    found = Dense(changed)(vectors)
    assert found.dtype == np.float32
    assert np.allclose(found, expected, atol=1e-5)


def test_half_precision_weights_are_widened(layer: DenseSettings, tmp_path: Path) -> None:
    weight, _, _ = tensors_of(layer)
    half = tmp_path / "half.safetensors"
    write_weights(half, {"linear.weight": weight.astype(np.float16)})
    found = Dense(replace(layer, weights=half, bias=False))(texts()[1])
    assert np.allclose(found, texts()[1] @ weight.T, atol=1e-2)


@pytest.mark.parametrize(
    "change", [{"outputs": 4}, {"inputs": 3}, {"weights": Path("missing.safetensors")}]
)
def test_weights_that_do_not_fit_are_refused(
    layer: DenseSettings, change: dict[str, object]
) -> None:
    with pytest.raises(ModelNotLoadable):
        Dense(replace(layer, **change))  # type: ignore[arg-type]


def tensors_of(layer: DenseSettings) -> list[Vectors]:
    """The tensors as safetensors itself reads them: an 8-byte length, a header, the numbers."""
    content = layer.weights.read_bytes()
    numbers = np.frombuffer(content[8 + int.from_bytes(content[:8], "little") :], np.float32)
    first, second = 3 * WIDTH, 3 * WIDTH + 3
    return [
        numbers[:first].reshape(3, WIDTH),
        numbers[first:second],
        numbers[second:].reshape(3, WIDTH),
    ]
