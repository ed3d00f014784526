"""Pictures in the GGUF engine: read as libmtmd reads them, beside other answers, and only once."""

from __future__ import annotations

import itertools
import random
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from app.provider.engines.gguf.image_encoder import MtmdImageEncoder
from app.provider.errors import ContextOverflow, ModelNotLoadable, ProviderError, UnsupportedInput
from app.provider.generation import prefill_budget
from app.provider.types import Delta, ImagePart, Progress, Prompt, Started
from tests.provider.gguf_driver import Driver, by_mtmd, started
from tests.provider.pictures import TurnPart, from_bytes, noise, shown
from tests.provider.vision_files import write_plain, write_vision_model

KINDS = ("qwen", "gemma3", "idefics3")
WIDE, TALL, TINY = noise(196, 84, 1), noise(100, 300, 2), noise(20, 30, 3)
LARGE = noise(700, 700, 4)


def written(kind: str, folder: Path) -> Path:
    return write_vision_model(folder) if kind == "qwen" else write_plain(folder, kind)


@pytest.fixture(scope="module", params=KINDS)
def any_kind(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Driver:
    """An engine on each kind of model: M-RoPE; non-causal pictures; pictures in tiles."""
    return Driver.of(written(request.param, tmp_path_factory.mktemp(request.param)))


@pytest.fixture(scope="module")
def vision_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_vision_model(tmp_path_factory.mktemp("seeing"))


@pytest.fixture
def driver(vision_model: Path) -> Iterator[Driver]:
    driver = Driver.of(vision_model)
    yield driver
    driver.engine.close()


PROMPTS = {
    "one": shown((WIDE, "What is it?")),
    "after the text": shown(("What is it?", WIDE)),
    "two": shown((WIDE, " and ", TALL, ": which?")),
    "side by side": shown((TINY, WIDE)),
    "in an earlier turn": shown((TALL, "What?"), "Something.", "Are you sure?"),
    "in every turn": shown((TINY, "What?"), "A dot.", ("And this?", WIDE)),
}


@pytest.mark.parametrize("name", PROMPTS)
def test_the_answer_is_that_of_libmtmd(any_kind: Driver, name: str) -> None:
    assert any_kind.ask(PROMPTS[name]).text == by_mtmd(any_kind, PROMPTS[name])


def test_every_pixel_counts(any_kind: Driver) -> None:
    answers = {any_kind.ask(shown((noise(112, 112, seed), "What?"))).text for seed in range(24)}
    assert len(answers) >= 4


def test_answers_side_by_side_are_those_of_one_after_the_other(any_kind: Driver) -> None:
    prompts = [*PROMPTS.values(), shown("No picture at all."), shown("Nor here. " * 30)]
    alone = [any_kind.ask(fresh(prompt, f"a{n}")).text for n, prompt in enumerate(prompts)]
    jobs = [any_kind.start(fresh(prompt, f"b{n}")) for n, prompt in enumerate(prompts)]
    assert [reply.text for reply in any_kind.finish(jobs)] == alone


def fresh(prompt: Prompt, owner: str) -> Prompt:
    """The same of somebody of whom nothing is kept."""
    return Prompt(prompt.messages, prompt.sampling, owner)


def test_what_is_seen_is_told_with_its_size(driver: Driver) -> None:
    job = driver.start(shown((WIDE, "and", TALL, "?")))
    driver.until(job, Started)
    one, two = started(driver, job).images
    assert (one.sha256, one.width, one.height, one.tokens) == (WIDE.sha256, 196, 84, 21)
    assert (two.sha256, two.width, two.height, two.tokens) == (TALL.sha256, 112, 308, 44)
    (reply,) = driver.finish([job])
    assert reply.end.usage.prompt_tokens == reply.started.prompt_tokens > 21 + 44


def test_a_large_picture_is_read_in_pieces_beside_an_answer(
    driver: Driver, monkeypatch: pytest.MonkeyPatch
) -> None:
    """625 vectors over several steps; the answer beside it goes on in each of them."""
    monkeypatch.setattr(prefill_budget, "BATCH_TOKENS", 64)
    question = shown((LARGE, "What is it?"))
    alone = driver.ask(fresh(question, "alone")).text
    beside = driver.start(shown("Tell me something long.", max_tokens=4000))
    driver.until(beside, Delta)
    job = driver.start(question)
    driver.until(job, Started)
    before = len(driver.events(beside))
    (reply,) = driver.finish([job])
    steps = [one for one in reply.progress if one.phase == "prefill"]
    within = [one for one in steps if 30 < one.done < 600]
    assert len(within) >= 8
    assert len(driver.events(beside)) - before >= len(steps)
    assert reply.text == alone
    driver.drop(beside)


def test_a_picture_that_is_read_at_once_is_not_cut_beside_an_answer(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    driver = Driver.of(write_plain(tmp_path, "gemma3"))
    question = shown((WIDE, "What is it?"))
    alone = driver.ask(fresh(question, "alone")).text
    monkeypatch.setattr(prefill_budget, "BATCH_TOKENS", 9)
    beside = driver.start(shown("Tell me something long.", max_tokens=4000))
    driver.until(beside, Delta)
    (reply,) = driver.finish([driver.start(question)])
    assert reply.text == alone
    done = [one.done for one in reply.progress]
    assert 16 in {after - before for before, after in itertools.pairwise(done)}


def test_rows_and_columns_are_where_they_belong(driver: Driver) -> None:
    assert isinstance(driver.engine._image_encoder, MtmdImageEncoder)
    layout = driver.engine._image_encoder.layout(WIDE)
    (piece,) = layout.pieces
    assert piece.image_positions is not None
    time, row, column, _ = piece.image_positions.tolist()
    assert time == [0] * 21
    assert row == [0] * 7 + [1] * 7 + [2] * 7
    assert column == [*range(7)] * 3
    assert (layout.size.tokens, layout.size.positions) == (21, 7)


def test_a_follow_up_reads_nothing_of_the_picture_again(any_kind: Driver) -> None:
    any_kind.looked.clear()
    first = any_kind.ask(shown((WIDE, "What is it?"), owner="follow"))
    second = shown((WIDE, "What is it?"), first.text, "Where?", owner="follow")
    reply = any_kind.ask(second)
    assert reply.started.cached_tokens >= first.started.prompt_tokens
    assert reply.started.images[0].sha256 == WIDE.sha256
    assert any_kind.looked == [WIDE.sha256]
    assert reply.text == any_kind.ask(fresh(second, "nobody")).text


def test_a_picture_is_looked_at_once_per_owner(driver: Driver) -> None:
    first = driver.ask(shown(("Look at it: ", WIDE)))
    again = driver.ask(shown(("Now look at this: ", WIDE)))
    assert again.started.cached_tokens < first.started.prompt_tokens - 21
    assert driver.looked == [WIDE.sha256]
    driver.ask(shown(("Look at it: ", WIDE), owner="other"))
    assert driver.looked == [WIDE.sha256] * 2


def test_without_memory_for_it_a_picture_is_looked_at_again(vision_model: Path) -> None:
    driver = Driver.of(vision_model, vision_cache_bytes=0)
    one, two = [driver.ask(shown((text, WIDE))).text for text in ("One: ", "One, two: ")]
    assert driver.looked == [WIDE.sha256] * 2
    assert [one, two] == [
        Driver.of(vision_model).ask(shown((text, WIDE))).text for text in ("One: ", "One, two: ")
    ]


def test_pictures_that_begin_alike_are_told_apart(driver: Driver) -> None:
    """The same text before two pictures is shared, and nothing of the pictures."""
    driver.ask(shown(("Look: ", WIDE)))
    other = shown(("Look: ", noise(196, 84, 9)))
    reply = driver.ask(other)
    assert 0 < reply.started.cached_tokens < 30
    assert reply.text == driver.ask(fresh(other, "nobody")).text


def test_a_cancelled_picture_leaves_no_half_of_it(
    driver: Driver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(prefill_budget, "BATCH_TOKENS", 64)
    question = shown((LARGE, "What is it?"))
    alone = driver.ask(fresh(question, "alone")).text
    beside = driver.start(shown("Tell me something long.", max_tokens=4000))
    driver.until(beside, Delta)
    job = driver.start(question)
    driver.until(job, Started)
    while max((e.done for e in driver.events(job) if isinstance(e, Progress)), default=0) < 60:
        driver.step()
    driver.drop(job)
    driver.drop(beside)
    reply = driver.ask(question)
    assert reply.started.cached_tokens < 30
    assert reply.text == alone


def test_half_a_picture_does_not_come_back_from_ram(
    vision_model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    driver = Driver.of(vision_model, slots=2, context_length=768, kv_cache_bytes=1)
    monkeypatch.setattr(prefill_budget, "BATCH_TOKENS", 32)
    question = shown((noise(392, 392), "What is it?"))
    job = driver.start(question)
    while not any(isinstance(one, Progress) and one.done > 100 for one in driver.events(job)):
        driver.step()
    driver.drop(job)
    for number in range(4):
        driver.ask(shown(f"{number}: something else. " * 20))
    reply = driver.ask(question)
    assert reply.text == driver.ask(fresh(question, "nobody")).text
    assert reply.started.cached_tokens < 30


def test_a_picture_still_being_looked_at_can_be_cancelled(driver: Driver) -> None:
    driver.may_look.clear()
    jobs = [driver.start(shown((noise(560, 560, seed), "?"))) for seed in range(6)]
    driver.step()
    for job in jobs:
        driver.drop(job)
    driver.may_look.set()
    assert driver.ask(shown((TINY, "Are you well?"))).text
    assert len(driver.looked) <= 3


def test_whoever_shows_the_same_picture_meanwhile_shares_it(
    driver: Driver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(prefill_budget, "BATCH_TOKENS", 40)
    jobs = [driver.start(shown((LARGE, f"What is {n}?"))) for n in range(3)]
    replies = driver.finish(jobs)
    assert driver.looked == [LARGE.sha256]
    assert sorted(reply.started.cached_tokens >= 625 for reply in replies) == [False, True, True]


def test_a_picture_shown_twice_at_once_is_looked_at_once(driver: Driver) -> None:
    driver.finish([driver.start(shown((f"{name}: ", WIDE))) for name in ("One", "Two", "Three")])
    assert driver.looked == [WIDE.sha256]


def test_a_known_picture_does_not_wait_for_others_to_be_looked_at(driver: Driver) -> None:
    driver.ask(shown(("First: ", WIDE)))
    others = [driver.start(shown((noise(1120, 1120, seed), "?"))) for seed in range(3)]
    driver.finish([driver.start(shown(("Second: ", WIDE)))])
    assert not [event for event in driver.events(others[-1]) if isinstance(event, Started)]
    for other in others:
        driver.drop(other)


def test_pictures_come_back_from_ram(vision_model: Path) -> None:
    driver = Driver.of(vision_model, slots=2, context_length=768, kv_cache_bytes=1)
    pictures = [noise(196, 140, seed) for seed in range(6)]
    turns = [driver.ask(shown((picture, "What?"))) for picture in pictures]
    question = shown((pictures[0], "What?"), turns[0].text, "More?")
    again = driver.ask(question)
    assert again.started.cached_tokens >= turns[0].started.prompt_tokens
    assert len(driver.looked) == 6
    assert again.text == driver.ask(fresh(question, "nobody")).text


@pytest.mark.parametrize("kind", KINDS)
def test_many_conversations_with_pictures_in_a_small_context(kind: str, tmp_path: Path) -> None:
    """Random turns, branches and cancellations; every answer is that of a fresh conversation."""
    path = written(kind, tmp_path)
    driver = Driver.of(path, slots=4, context_length=512, kv_cache_bytes=1)
    judge = Driver.of(path)
    dice = random.Random(16)  # with others, two tokens can be equally likely but for rounding
    pictures: list[TurnPart] = [noise(28 * dice.randint(2, 5), 84, seed) for seed in range(4)]
    histories: list[list[TurnPart | tuple[TurnPart, ...]]] = [[] for _ in range(6)]
    for _ in range(8):
        for history in histories:
            if dice.random() < 0.3:
                del history[dice.randrange(len(history) + 1) // 2 * 2 :]
            shows = [dice.choice(pictures)] if dice.random() < 0.5 else []
            history.append((*shows, f"Number {dice.randrange(3)}?"))
        prompts = [shown(*history, max_tokens=dice.randint(1, 6)) for history in histories]
        jobs = [driver.start(prompt) for prompt in prompts[:4]]
        if dice.random() < 0.4:
            driver.step()
            driver.drop(jobs.pop(0))
            prompts.pop(0)
            histories[0].pop()
        kept = histories[4 - len(jobs) : 4]
        for history, prompt, reply in zip(kept, prompts, driver.finish(jobs), strict=False):
            assert reply.text == judge.ask(fresh(prompt, str(dice.random()))).text
            history[:] = [*history, reply.text][-2:]
        for history in histories[4:]:
            history.pop()
        histories.append(histories.pop(0))


def test_other_threads_look_at_the_next_picture(driver: Driver) -> None:
    one = driver.ask(shown((WIDE, "What?"))).text
    driver.engine.set_threads(2)
    assert driver.ask(shown((WIDE, "What?"), owner="other")).text == one
    assert isinstance(driver.engine._image_encoder, MtmdImageEncoder)
    assert driver.engine._image_encoder._projector._threads == 2


def test_looking_leaves_no_threads_of_openmp_behind(driver: Driver) -> None:
    """They slow down every token that is computed later, even asleep."""
    driver.engine.set_threads(2)
    driver.ask(shown(("Are you well?",)))
    before, encoder_threads = psutil.Process().num_threads(), 1
    driver.ask(shown((WIDE, "What?")))
    deadline = time.monotonic() + 60
    while psutil.Process().num_threads() > before + encoder_threads:
        assert time.monotonic() < deadline, "more threads than before the picture"
        time.sleep(0.01)


# ---------------------------------------------------------------- what is refused


BROKEN = {
    "no PNG": from_bytes(b"this is no picture at all", 84, 84),
    "cut off": from_bytes(WIDE.content[: len(WIDE.content) // 2], 196, 84),
    "empty": from_bytes(b"", 84, 84),
}


@pytest.mark.parametrize("name", BROKEN)
def test_a_broken_picture_is_refused_before_anything_is_told(driver: Driver, name: str) -> None:
    beside = driver.start(shown("Go on, please.", max_tokens=30))
    job = driver.start(shown((LARGE, BROKEN[name], "What?")))
    driver.until(job, ProviderError)
    assert isinstance(driver.events(job)[-1], UnsupportedInput)
    assert not [event for event in driver.events(job) if isinstance(event, Started)]
    assert driver.finish([beside])[0].text
    assert driver.ask(shown((WIDE, "What?"))).text


def test_a_strip_is_refused(driver: Driver) -> None:
    with pytest.raises(UnsupportedInput, match="as long as wide"):
        driver.engine.prepare(shown((from_bytes(b"", 4000, 10), "?")))


def test_too_many_pictures_are_refused_with_the_numbers(vision_model: Path) -> None:
    driver = Driver.of(vision_model, context_length=512)
    pictures = [noise(280, 280, seed) for seed in range(6)]
    with pytest.raises(ContextOverflow) as caught:
        driver.engine.prepare(shown((*pictures, "Which?")))
    assert caught.value.limit == 512
    assert 600 < caught.value.needed < 660


def test_the_bound_on_tokens_holds(vision_model: Path) -> None:
    def tokens(part: ImagePart, **limits: int) -> int:
        prepared = Driver.of(vision_model, **limits).engine.prepare(shown((part,)))
        count: int = prepared.images[0].size.tokens
        return count

    assert tokens(LARGE) == 625
    assert tokens(LARGE, image_tokens=49) == 49
    assert tokens(LARGE, context_length=512) <= 256
    assert tokens(TINY) >= 8


def test_a_picture_that_has_to_be_read_at_once_may_be_too_large(tmp_path: Path) -> None:
    driver = Driver.of(write_plain(tmp_path, "gemma3", image_size=448))
    with pytest.raises(UnsupportedInput, match="1024 tokens"):
        driver.engine.prepare(shown((WIDE, "?")))


def test_a_file_for_pictures_that_is_no_good_says_why(tmp_path: Path) -> None:
    path = write_vision_model(tmp_path, without="mm.2.weight")
    with pytest.raises(ModelNotLoadable, match=r"cannot load mmproj-seeing-f16.gguf.*mm\.2"):
        Driver.of(path)
