"""How much of a long prompt is read beside running answers."""

from __future__ import annotations

import pytest

from app.provider.generation.prefill_budget import FRAME_SECONDS, LONGEST_GAP, PrefillBudget

LONG = 4000
TOKEN = 0.001
"""Seconds of a prompt's token."""


def budget(decode: float) -> PrefillBudget:
    """One that has measured steps of ``decode`` seconds, and prompts beside them."""
    measured = PrefillBudget()
    measured.record(decode, 1, 0)
    measured.record(decode + 100 * TOKEN, 1, 100)
    return measured


@pytest.mark.parametrize(
    ("decode", "gap"),
    [
        (0.040, LONGEST_GAP * 0.040),
        (FRAME_SECONDS, LONGEST_GAP * FRAME_SECONDS),
        (0.020, (LONGEST_GAP - 1) * 0.020 + FRAME_SECONDS),
        (0.0, FRAME_SECONDS),
    ],
)
def test_a_step_takes_so_many_steps_and_the_rest_of_a_frame(decode: float, gap: float) -> None:
    tokens = budget(decode).prompt_tokens(1, LONG)
    assert decode + tokens * TOKEN == pytest.approx(gap, abs=2 * TOKEN)


def test_alone_only_cancelling_bounds_a_step() -> None:
    measured = PrefillBudget()
    measured.record(100 * TOKEN, 0, 100)
    assert measured.prompt_tokens(0, LONG) > 400
