"""The scheduler on a runner in memory: order, room, shared prefixes, images, ends."""

from __future__ import annotations

import random
from array import array
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import pytest

from app.provider.engine import EngineInfo
from app.provider.errors import ProviderError, UnsupportedInput
from app.provider.generation.constraints.guide import AnswerGuide
from app.provider.generation.image_encoder import ImageEncoder
from app.provider.generation.output_stream import NO_TOKEN
from app.provider.generation.prepared_prompt import ImageSize, PreparedPrompt, place_images
from app.provider.generation.runner import Drawn, SequenceState, draw_guided
from app.provider.generation.scheduler import Scheduler
from app.provider.types import Delta, End, Event, ImagePart, Progress, Sampling, Started

Outcome = Event | ProviderError
BROKEN = -2
CONTEXT = 2000
SIZE = ImageSize(28, 28, tokens=3, positions=3)


@dataclass
class MemoryRunner:
    """Draws the first token of the prompt again and again; rows take their whole room."""

    cells: int = 10**6
    held: list[SequenceState] = field(default_factory=list)
    reserved: int = 0
    prefixes: dict[str, array[int]] = field(default_factory=dict)

    def reserve(self, prompt: PreparedPrompt, room: int) -> SequenceState | None:
        if self.held and room + sum(one.room for one in self.held) > self.cells:
            return None
        self.reserved += 1
        known = self.prefixes.get(prompt.owner, array("i"))
        cached = known if prompt.tokens[: len(known)] == known else array("i")
        self.held.append(SequenceState(prompt=prompt, room=room, tokens=cached[:]))
        return self.held[-1]

    def prefill(self, pieces: Sequence[tuple[SequenceState, int]]) -> None:
        for sequence, size in pieces:
            done = len(sequence.tokens)
            assert 0 < size <= sequence.prefill_left
            assert sequence.images is not None
            sequence.tokens.extend(sequence.prompt.tokens[done : done + size])

    def decode(self, running: Sequence[SequenceState]) -> list[Drawn[SequenceState]]:
        for sequence in running:
            assert sequence in self.held
            sequence.tokens.extend(sequence.pending)
            assert len(sequence.tokens) <= sequence.room
        drawn = [NO_TOKEN if one.prompt.tokens[0] == BROKEN else 7 for one in running]
        return draw_guided(running, lambda _: np.zeros(9), lambda: drawn)

    def release(self, sequences: Sequence[SequenceState]) -> None:
        for sequence in sequences:
            self.held.remove(sequence)

    def set_threads(self, threads: int) -> None:
        """Nothing to do."""

    def close(self) -> None:
        """Nothing to free."""


class Words:
    """A vocabulary of one word."""

    def piece(self, token: int, *, keep_special: bool = False) -> bytes:
        return b"w "

    def spelling(self, token: int) -> str:
        return "w "


class SlowEncoding:
    """Takes three pieces; an image whose hash begins with x is broken."""

    def __init__(self, broken: bool) -> None:
        self._left = 3
        self._broken = broken
        self.cancelled = False

    @property
    def done(self) -> bool:
        return self._left == 0

    def ready(self, patience: float) -> bool:
        return self._left > 0

    def advance(self) -> None:
        self._left -= 1

    def result(self) -> np.ndarray:
        if self._broken:
            raise UnsupportedInput("The picture is broken.")
        return np.zeros(3)

    def cancel(self) -> None:
        self.cancelled = True


class Encoder(ImageEncoder[np.ndarray]):
    """One piece of an encoding in each step."""

    def __init__(self) -> None:
        super().__init__(lambda image: SlowEncoding(image.part.sha256.startswith("x")), 10**6)

    def work(self, seconds: float, *, alone: bool = False) -> None:
        super().work(0.0, alone=alone)


def text_prompt(length: int, answer: int = 5, owner: str = "", first: int = 1) -> PreparedPrompt:
    tokens = array("i", [first, *range(2, length + 1)])
    return PreparedPrompt(tokens, owner, Sampling(max_tokens=answer), context_length=CONTEXT)


def picture_prompt(sha256: str) -> PreparedPrompt:
    part = ImagePart(b"", sha256, 28, 28)
    tokens, images = place_images([[1, 2], part, [3, 4]], lambda _: SIZE)
    sampling = Sampling(max_tokens=3)
    return PreparedPrompt(array("i", tokens), "", sampling, images, context_length=CONTEXT)


def scheduler(runner: MemoryRunner, slots: int = 4) -> Scheduler[SequenceState]:
    return Scheduler(runner, EngineInfo(slots, CONTEXT), 8, Words(), Encoder())


def finish(one: Scheduler[SequenceState], jobs: set[int]) -> dict[int, list[Outcome]]:
    events: dict[int, list[Outcome]] = {job: [] for job in jobs}
    for _ in range(2000):
        for job, event in one.step():
            events[job].append(event)
        if all(seen and isinstance(seen[-1], End | ProviderError) for seen in events.values()):
            return events
    raise AssertionError("an answer does not end")


def kinds(events: list[Outcome]) -> str:
    """The first letters of the kinds of events, runs as one."""
    letters = [type(event).__name__[0] for event in events]
    return "".join(one for at, one in enumerate(letters) if letters[at - 1 : at] != [one])


def test_an_answer_is_started_read_written_and_ended() -> None:
    runner = MemoryRunner()
    one = scheduler(runner)
    assert one.admit(1, text_prompt(700))
    events = finish(one, {1})[1]
    assert kinds(events) == "SPDE"
    read = [event.done for event in events if isinstance(event, Progress)]
    assert read == sorted(set(read))
    assert "".join(event.text for event in events if isinstance(event, Delta)) == "w " * 5
    assert isinstance(events[-1], End)
    assert (events[-1].reason, events[-1].usage.completion_tokens) == ("length", 5)
    assert runner.held == []


def test_no_more_jobs_are_taken_than_there_are_slots() -> None:
    one = scheduler(MemoryRunner(), slots=2)
    assert [one.admit(job, text_prompt(3)) for job in range(3)] == [True, True, False]
    one.drop(0)
    assert one.admit(3, text_prompt(3))


def test_without_room_jobs_begin_in_the_order_in_which_they_came() -> None:
    runner = MemoryRunner(cells=250)
    one = scheduler(runner)
    for job, length in enumerate((100, 200, 20, 20)):
        assert one.admit(job, text_prompt(length, owner=str(job)))
    begun: list[int] = []
    queued: list[tuple[int, int]] = []
    while len(begun) < 4:
        for job, event in one.step():
            begun += [job] if isinstance(event, Started) else []
            if isinstance(event, Progress) and event.phase == "queued":
                queued.append((job, event.done))
    assert begun == [0, 1, 2, 3]
    assert queued == [(1, 0), (2, 1), (3, 2), (3, 0)]


def test_a_prompt_that_begins_like_one_in_prefill_waits_and_shares_it() -> None:
    runner = MemoryRunner()
    one = scheduler(runner)
    for job in range(3):
        assert one.admit(job, text_prompt(1500, owner="me" if job < 2 else "other"))
    started = {job for job, event in one.step() if isinstance(event, Started)}
    assert started == {0, 2}
    runner.prefixes["me"] = array("i", [1, *range(2, 1500)])
    events = finish(one, {0, 1, 2})
    (begun,) = [event for event in events[1] if isinstance(event, Started)]
    assert begun.cached_tokens == 1499


def test_images_are_encoded_before_an_answer_is_started() -> None:
    one = scheduler(MemoryRunner())
    assert one.admit(1, text_prompt(3, answer=40))
    assert one.admit(2, picture_prompt("a" * 64))
    assert one.admit(3, picture_prompt("x" * 64))
    events = finish(one, {1, 2, 3})
    assert kinds(events[2]) == "PSDE"
    (begun,) = [event for event in events[2] if isinstance(event, Started)]
    assert [image.sha256 for image in begun.images] == ["a" * 64]
    assert isinstance(events[3][-1], UnsupportedInput)
    assert kinds(events[1]) == "SDE"


def test_a_dropped_job_is_released_whatever_it_waits_for() -> None:
    runner = MemoryRunner(cells=200)
    one = scheduler(runner)
    prompts = (picture_prompt("a" * 64), text_prompt(150, answer=30), text_prompt(150, owner="x"))
    for job, prompt in enumerate(prompts):
        assert one.admit(job, prompt)
    one.step()
    for job in range(3):
        one.drop(job)
    assert (runner.held, runner.reserved) == ([], 2)
    assert one.step() == []


def test_logits_that_are_no_numbers_end_their_own_answer() -> None:
    runner = MemoryRunner()
    one = scheduler(runner)
    assert one.admit(1, text_prompt(3, first=BROKEN))
    assert one.admit(2, text_prompt(3))
    events = finish(one, {1, 2})
    assert isinstance(events[1][-1], ProviderError)
    assert isinstance(events[2][-1], End)
    assert runner.held == []


@pytest.mark.parametrize("seed", range(20))
def test_whatever_comes_and_goes_every_answer_ends_once(seed: int) -> None:
    dice = random.Random(seed)
    runner = MemoryRunner(cells=1200)
    one = scheduler(runner, slots=dice.randint(1, 6))
    ended: dict[int, list[Outcome]] = {}
    waiting, dropped, job = [], set(), 0
    for turn in range(400):
        if turn < 300 and dice.random() < 0.3:
            job += 1
            prompt = text_prompt(dice.randint(2, 900), dice.randint(1, 30), dice.choice("ab"))
            picture = picture_prompt(dice.choice("abx") * 64)
            waiting.append((job, picture if dice.random() < 0.3 else prompt))
        while waiting and one.admit(*waiting[0]):
            ended[waiting.pop(0)[0]] = []
        if ended and dice.random() < 0.05:
            dropped.add(victim := dice.choice(list(ended)))
            one.drop(victim)
        for number, event in one.step():
            assert number not in dropped
            assert not ended[number] or not isinstance(ended[number][-1], End | ProviderError)
            ended[number].append(event)
    left = {number for number in ended if number not in dropped and not _is_over(ended[number])}
    if left:
        finish(one, left)
    assert runner.held == []


def _is_over(events: list[Outcome]) -> bool:
    return bool(events) and isinstance(events[-1], End | ProviderError)


class Forcing(AnswerGuide):
    """Forces a token at the beginning and two after each drawn one; breaks when it is told to."""

    def __init__(self) -> None:
        super().__init__(text_of=lambda _: b"w ")
        self.restricted = 0

    def start(self) -> list[int]:
        return [7]

    def restrict(self, logits: np.ndarray) -> None:
        self.restricted += 1

    def accept(self, token: int) -> list[int]:
        return [7, 7]


def guided_prompt(guide: AnswerGuide, answer: int) -> PreparedPrompt:
    return replace(text_prompt(600, answer=answer), guide=lambda limit: guide)


def test_forced_tokens_are_written_and_computed_without_being_drawn() -> None:
    one, guide = scheduler(MemoryRunner()), Forcing()
    assert one.admit(1, guided_prompt(guide, answer=11))
    events = finish(one, {1})[1]
    assert "".join(event.text for event in events if isinstance(event, Delta)) == "w " * 11
    assert isinstance(events[-1], End)
    assert events[-1].usage.completion_tokens == 11
    assert guide.restricted == 4  # one forced, and three of each draw


def test_a_guide_that_fails_ends_its_own_answer_with_an_error() -> None:
    runner = MemoryRunner()
    one, guide = scheduler(runner), Forcing()
    assert one.admit(1, guided_prompt(guide, answer=50))
    while not guide.restricted:
        one.step()
    guide.error = "broken"
    assert one.admit(2, text_prompt(3))
    events = finish(one, {1, 2})
    assert str(events[1][-1]) == "broken"
    assert isinstance(events[1][-1], ProviderError)
    assert isinstance(events[2][-1], End)
    assert runner.held == []
