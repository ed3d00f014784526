"""Prefixes that running sequences have computed, and the room in a batch of equal rows."""

from __future__ import annotations

from array import array

from app.provider.generation.batch_room import BLOCK, fits
from app.provider.generation.prefix_cache import SHORTEST, best_prefix
from app.provider.generation.prepared_prompt import PreparedPrompt
from app.provider.generation.runner import SequenceState
from app.provider.types import Sampling

TEXT = array("i", range(300))


def computed(tokens: int, owner: str = "ada", start: int = 0) -> SequenceState:
    """A sequence that has computed so many tokens from ``start`` on."""
    prompt = PreparedPrompt(TEXT[start:], owner, Sampling())
    return SequenceState(prompt=prompt, room=300, tokens=TEXT[start : start + tokens])


def test_the_longest_computed_prefix_of_the_owner_is_found() -> None:
    long, other = computed(200), computed(250, "bob")
    sequences = (computed(100), long, computed(150), other, computed(290, start=1))
    assert best_prefix("ada", TEXT, sequences) == (long, 200)
    assert best_prefix("ada", TEXT[:120], sequences)[1] == 120
    assert best_prefix("bob", TEXT, sequences) == (other, 250)
    assert best_prefix("eve", TEXT, sequences) == (None, 0)


def test_a_prefix_that_is_cheap_to_compute_again_is_not_worth_a_copy() -> None:
    short, enough = computed(SHORTEST - 1), computed(SHORTEST)
    assert best_prefix("ada", TEXT, [short]) == (None, 0)
    assert best_prefix("ada", TEXT, [short], more_than=0) == (short, SHORTEST - 1)
    assert best_prefix("ada", TEXT, [short, enough]) == (enough, SHORTEST)


def test_every_row_of_a_batch_takes_as_much_as_the_longest() -> None:
    assert fits([2 * BLOCK, 1], 4 * BLOCK)
    assert not fits([2 * BLOCK + 1, 1], 4 * BLOCK)
    assert fits([1, 1, 1, 1], 4 * BLOCK)
    assert not fits([1] * 5, 4 * BLOCK)


def test_one_row_always_fits() -> None:
    assert fits([10 * BLOCK], BLOCK)
    assert not fits([10 * BLOCK, 1], BLOCK)
