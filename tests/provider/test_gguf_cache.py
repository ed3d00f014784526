"""The prefix caches of the GGUF engine, on a context that only remembers what was put into it."""

from __future__ import annotations

import random
from array import array
from dataclasses import dataclass, field
from typing import cast

import numpy as np
import pytest

from app.provider.engine import EngineLimits
from app.provider.engines.gguf.cache import PrefixCache, Sequence
from app.provider.engines.gguf.cache_streams import StreamCache
from app.provider.engines.gguf.cache_unified import UnifiedCache
from app.provider.engines.gguf.context import LlamaContext, State
from app.provider.engines.gguf.context_cells import ContextLayout
from app.provider.generation.context_plan import ContextPlan
from app.provider.generation.prepared_prompt import PreparedPrompt
from app.provider.types import Sampling

SYSTEM, OTHER = list(range(1000, 1200)), list(range(2000, 2100))
SLOTS = 6


@dataclass
class RememberingContext:
    """Stands for the memory of llama.cpp: the tokens of each sequence."""

    cells: dict[int, list[int]] = field(default_factory=dict)
    saved: int = 0

    def copy(self, source: int, target: int, position: int) -> None:
        self.cells[target] = self.cells[source][:position]

    def trim(self, sequence: int, position: int) -> bool:
        self.cells[sequence] = self.cells.get(sequence, [])[:position]
        return True

    def save(self, sequence: int) -> State:
        self.saved += len(self.cells[sequence])
        return np.array(self.cells[sequence], np.int32).view(np.uint8)

    def restore(self, sequence: int, state: State) -> bool:
        assert not self.cells.get(sequence), "something is left there"
        self.cells[sequence] = state.view(np.int32).tolist()
        return True


class Cached:
    """A cache, the context below it, and what each owner has computed."""

    def __init__(self, kind: type[PrefixCache], *, whole_only: bool = False) -> None:
        self.context = RememberingContext()
        context = cast("LlamaContext", self.context)
        layout = ContextLayout(2000, SLOTS, kind is StreamCache)
        self.cache = kind(context, layout, parked_bytes=4 * 3000, whole_only=whole_only)
        self.computed: list[tuple[str, list[int]]] = []

    def begin(self, owner: str, tokens: list[int]) -> tuple[Sequence, int]:
        """Claim a sequence for a prompt, compute the rest, and say how much was there."""
        prompt = PreparedPrompt(array("i", tokens), owner, Sampling())
        sequence = self.cache.claim(prompt, len(tokens) + 64)
        assert sequence is not None
        held = sequence.tokens.tolist()
        assert held == tokens[: min(len(held), len(tokens) - 1)]
        assert not held or any(owner == by and held == of[: len(held)] for by, of in self.computed)
        self.compute(sequence, tokens[len(held) :])
        return sequence, len(held)

    def ask(self, owner: str, tokens: list[int]) -> int:
        """A whole request; says how much of its prompt was there."""
        sequence, held = self.begin(owner, tokens)
        self.cache.release(sequence)
        return held

    def compute(self, sequence: Sequence, tokens: list[int]) -> None:
        self.context.cells.setdefault(sequence.id, []).extend(tokens)
        self.cache.grow(sequence, tokens)
        self.computed.append((sequence.owner, sequence.tokens.tolist()))

    def check(self) -> None:
        """The context holds what the cache believes, and nothing else."""
        known = self.cache._active | dict(self.cache._idle)
        assert all(number == one.id for number, one in known.items())
        held = {number: tokens for number, tokens in self.context.cells.items() if tokens}
        assert held == {number: one.tokens.tolist() for number, one in known.items()}
        assert sorted([*known, *self.cache._free_ids]) == list(range(SLOTS))


both = pytest.mark.parametrize("kind", [UnifiedCache, StreamCache])


@both
@pytest.mark.parametrize("seed", range(4))
def test_a_sequence_holds_what_its_owner_computed(kind: type[PrefixCache], seed: int) -> None:
    chance, one = random.Random(seed), Cached(kind)
    running: list[Sequence] = []
    histories = {owner: [SYSTEM, OTHER] for owner in "ab"}
    for _ in range(300):
        if running and (len(running) == 4 or chance.random() < 0.4):
            ending = running.pop(chance.randrange(len(running)))
            histories[ending.owner].append(ending.tokens.tolist()[-400:])
            one.cache.release(ending)
        else:
            owner = chance.choice("ab")
            start = chance.choice(histories[owner])[: chance.choice((30, 150, 400))]
            running.append(one.begin(owner, [*start, *chance.choices(range(50), k=20)])[0])
        one.cache.close_gaps()
        for sequence in running:
            one.compute(sequence, [chance.randrange(50)])
        one.check()


@both
def test_a_turn_among_more_conversations_than_fit_is_warm(kind: type[PrefixCache]) -> None:
    one = Cached(kind)
    prompts = [[number, *SYSTEM, number] for number in range(SLOTS + 3)]
    for prompt in prompts:
        one.ask("a", prompt)
    assert [one.ask("a", [*prompt, 7, 8]) for prompt in prompts] == [202] * len(prompts)


@both
def test_short_conversations_that_begin_alike_stay_warm(kind: type[PrefixCache]) -> None:
    """A system text of the model's template is what all of them have in common."""
    one = Cached(kind)
    prompts = [[*SYSTEM[:25], *range(number, number + 50)] for number in range(SLOTS + 3)]
    for prompt in prompts:
        one.ask("a", prompt)
    assert [one.ask("a", [*prompt, 7, 8]) for prompt in prompts] == [75] * len(prompts)


@both
def test_a_common_beginning_is_shared_with_one_that_runs(kind: type[PrefixCache]) -> None:
    one = Cached(kind)
    first, _ = one.begin("a", [*SYSTEM, 1])
    others = [one.begin("a", [*SYSTEM, number]) for number in range(2, 5)]
    assert [held for _, held in others] == [200] * 3
    assert one.begin("b", [*SYSTEM, 1])[1] == 0
    one.compute(first, [5, 5, 5])
    one.check()


@both
def test_a_state_that_cannot_be_cut_is_continued_only(kind: type[PrefixCache]) -> None:
    one = Cached(kind, whole_only=True)
    one.ask("a", [*SYSTEM, 1])
    assert one.ask("a", [*SYSTEM, 2]) == 0
    assert one.ask("a", [*SYSTEM, 1, 3]) == 201


def test_in_streams_a_gap_is_filled_by_one_move() -> None:
    one = Cached(StreamCache)
    running = [one.begin("a", [number, *range(100)])[0] for number in range(SLOTS)]
    for sequence in running[1::2]:
        one.cache.release(sequence)
    assert sorted(one.cache._active) == [0, 2, 4]
    before = one.context.saved
    one.cache.close_gaps()
    one.check()
    assert sorted(one.cache._active) == [2, 3, 4]
    assert {sequence.id for sequence in running[::2]} == {2, 3, 4}
    assert one.context.saved - before == 101 * 2  # the one moved, and the idle one that was there
    one.cache.close_gaps()
    assert one.context.saved - before == 101 * 2


def test_in_streams_a_conversation_alone_is_never_copied() -> None:
    one = Cached(StreamCache)
    for turn in range(1, 5):
        one.ask("a", SYSTEM[: 40 * turn])
        one.cache.close_gaps()
    assert one.context.saved == 0


def test_in_streams_a_long_sequence_is_not_copied_for_a_short_beginning() -> None:
    one = Cached(StreamCache)
    one.begin("a", [1, 2, 3, *range(1000)])
    assert one.begin("a", [1, 2, 3, 9])[1] == 0
    assert one.context.saved == 0


def test_in_streams_a_long_sequence_is_not_copied_for_a_short_end() -> None:
    cached, system = Cached(StreamCache), list(range(1000, 1800))
    first, second = [*system, *range(20)], [*system, *range(100, 120)]
    cached.ask("a", first)
    assert cached.ask("a", second) == len(system)
    assert cached.context.saved == 0
    assert cached.ask("a", [*first, *range(200, 300)]) == len(system)
    assert cached.ask("a", second) == len(system)
    assert cached.context.saved == len(first) + 100
    cached.check()


@pytest.mark.parametrize("length", [1000, 4096])
def test_streams_are_taken_where_a_whole_context_for_each_slot_fits(length: int) -> None:
    cells = SLOTS * (-(-length // 256) * 256)

    def layout(cells: int) -> ContextLayout:
        limits = EngineLimits(kv_cache_bytes=10 * cells)
        return ContextLayout.of(ContextPlan.of(length, 10, limits), SLOTS)

    assert layout(cells) == ContextLayout(cells, SLOTS, streams=True)
    assert not layout(cells - 1).streams
    assert length <= layout(cells - 1).cells <= cells
