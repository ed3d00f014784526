"""Pictures in the MLX engine: batches, prefixes, features, what goes wrong."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from app.provider.errors import UnsupportedInput
from app.provider.types import (
    Delta,
    Progress,
    Prompt,
    SeenImage,
)
from tests.provider.mlx_driver import LONG, WHAT, Driver, driver
from tests.provider.pictures import from_bytes, noise, shown
from tests.provider.qwen_vl_files import write_qwen_vl

pytest.importorskip("mlx_lm", reason="mlx: mlx_lm is not installed")
pytest.importorskip("mlx_vlm", reason="mlx: mlx_vlm is not installed")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_qwen_vl(tmp_path_factory.mktemp("models") / "tiny-vl")


@pytest.fixture(scope="module")
def mlx(folder: Path) -> Iterator[Driver]:
    """An engine; tests that must not share prefixes name owners of their own."""
    made = driver(folder)
    yield made
    made.engine.close()


# ---------------------------------------------------------------- answers


def test_the_client_is_told_what_the_model_sees(mlx: Driver) -> None:
    one, two = noise(300, 200), noise(2000, 700)
    reply = mlx.ask((one, two, WHAT))
    assert reply.started.images == (
        SeenImage(one.sha256, 252, 168, 54),
        SeenImage(two.sha256, 364, 112, 52),
    )
    text = mlx.ask(WHAT)
    assert text.started.images == ()


def test_every_picture_gets_its_own_answer(mlx: Driver) -> None:
    answers = {mlx.ask((noise(112, 84, seed), WHAT)).text for seed in range(6)}
    assert len(answers) == 6


def test_the_order_of_pictures_matters(mlx: Driver) -> None:
    one, two = noise(112, 84, 1), noise(112, 84, 2)
    assert mlx.ask((one, two, WHAT)).text != mlx.ask((two, one, WHAT)).text


def test_in_a_batch_everybody_gets_the_answer_they_get_alone(mlx: Driver) -> None:
    """They join one after the other, with pictures of all sizes and without."""
    asked: list[tuple[Any, ...]] = [
        (noise(112, 84, 1), WHAT),
        (LONG,),
        (noise(500, 300, 2), noise(60, 90, 3), WHAT),
        (WHAT,),
        (LONG, noise(200, 200, 4), WHAT),
        (noise(112, 84, 1), "Else?"),
        (noise(90, 600, 5), LONG),
    ]
    options: dict[str, Any] = {"max_tokens": 40, "stop": ("\0",)}
    alone = [mlx.ask(parts, owner=f"alone {n}", **options) for n, parts in enumerate(asked)]
    jobs = []
    for n, parts in enumerate(asked):
        jobs.append(mlx.start(shown(parts, owner=f"crowd {n}", **options)))
        mlx.step()
        mlx.step()
    together = mlx.end(*jobs)
    assert [one.text for one in together] == [one.text for one in alone]
    assert all(one.started.cached_tokens == 0 for one in together)


def test_a_follow_up_question_goes_on_behind_the_picture(mlx: Driver) -> None:
    one, two = noise(300, 200, 7), noise(112, 84, 8)
    answer = mlx.ask((one, LONG), owner="first").text
    follow = mlx.ask((one, LONG), answer, (two, WHAT), owner="first")
    fresh = mlx.ask((one, LONG), answer, (two, WHAT), owner="fresh")
    assert fresh.started.cached_tokens == 0
    assert follow.started.cached_tokens > follow.started.images[0].tokens + len(LONG)
    assert follow.text == fresh.text


def test_a_running_answer_lends_its_prefix(mlx: Driver) -> None:
    one = noise(300, 200, 9)
    running = mlx.start(shown((one, LONG), owner="both", max_tokens=200, stop=("\0",)))
    while not any(isinstance(event, Delta) for event in mlx.events_of(running)):
        mlx.step()
    second = mlx.ask((one, LONG + WHAT), owner="both")
    mlx.engine.drop(running)
    assert second.started.cached_tokens > second.started.images[0].tokens
    assert second.text == mlx.ask((one, LONG + WHAT), owner="alone").text


def test_another_picture_of_the_same_size_shares_nothing(mlx: Driver) -> None:
    mlx.ask((noise(300, 200, 10), LONG), owner="swap")
    other = mlx.ask((noise(300, 200, 11), LONG), owner="swap")
    assert other.started.cached_tokens < 16
    assert other.text == mlx.ask((noise(300, 200, 11), LONG), owner="swapped").text


# ---------------------------------------------------------------- looking


def steps_to_start(mlx: Driver, prompt: Prompt) -> int:
    job = mlx.start(prompt)
    for steps in range(1, 1000):
        mlx.step()
        if mlx.begun(job):
            mlx.end(job)
            return steps
    raise AssertionError


def test_a_picture_is_looked_at_once(mlx: Driver) -> None:
    """Known features start in the first step, whatever the text before them is."""
    one = noise(200, 200, 12)
    assert steps_to_start(mlx, shown((one, WHAT), owner="look")) > 1
    assert steps_to_start(mlx, shown((LONG, one, LONG), owner="look")) == 1
    assert steps_to_start(mlx, shown((LONG, one, LONG), owner="somebody else")) > 1


def test_without_memory_for_features_it_is_looked_at_again(folder: Path) -> None:
    mlx = driver(folder, vision_cache_bytes=0)
    one = noise(200, 200, 12)
    first = mlx.ask((one, LONG))
    assert steps_to_start(mlx, shown((LONG, one, WHAT))) > 1
    follow = mlx.start(shown((one, LONG), first.text, WHAT))
    mlx.step()
    assert mlx.begun(follow), "what was read of a picture needs no features"


def test_answers_go_on_while_a_picture_is_looked_at(folder: Path) -> None:
    mlx = driver(folder)
    running = mlx.start(shown(LONG, max_tokens=300, stop=("\0",)))
    for _ in range(20):
        mlx.step()
    output = mlx.engine._scheduler._sequences[running].output
    before = output._written
    looking = mlx.start(shown((noise(900, 900), WHAT)))
    while not mlx.begun(looking):
        mlx.step()
    assert isinstance(mlx.events_of(looking)[0], Progress), (
        "it says that it is busy with the prompt"
    )
    assert output._written - before > 2
    assert mlx.end(looking)[0].text


def test_a_step_looks_at_no_more_than_it_has_time_for(mlx: Driver) -> None:
    """One layer of three at least; a fourth step puts the features together."""
    image_encoder = mlx.engine._image_encoder
    prompt = mlx.engine.prepare(shown((noise(200, 200, 16), WHAT), owner="time"))
    assert image_encoder.features(99, prompt, 0) is None
    (pending,) = image_encoder._pending.values()
    pending.encoding._pixels.result()
    for _ in range(3):
        image_encoder.work(0.0, alone=False)
        assert image_encoder.features(99, prompt, 0) is None
    image_encoder.work(0.0, alone=False)
    assert image_encoder.features(99, prompt, 0)


def test_the_user_bounds_the_tokens_of_a_picture(folder: Path) -> None:
    mlx = driver(folder, image_tokens=9)
    reply = mlx.ask((noise(900, 700), WHAT))
    assert reply.started.images[0].tokens <= 9


# ---------------------------------------------------------------- what goes wrong


def test_a_bad_picture_fails_its_own_request_only(mlx: Driver) -> None:
    good = mlx.start(shown(LONG))
    bad = mlx.start(shown((from_bytes(b"no picture", 28, 28), noise(60, 60, 13), WHAT)))
    with pytest.raises(UnsupportedInput, match="cannot be read"):
        mlx.end(bad)
    assert mlx.end(good)[0].text
    assert not mlx.engine._image_encoder._pending


def test_a_strip_is_refused_before_it_is_admitted(mlx: Driver) -> None:
    with pytest.raises(UnsupportedInput, match="200 times"):
        mlx.start(shown((noise(4000, 4), WHAT)))


def test_who_leaves_while_looking_leaves_nothing(mlx: Driver) -> None:
    one = noise(200, 200, 14)
    first, second = (mlx.start(shown((one, WHAT), owner="gone")) for _ in range(2))
    mlx.step()
    mlx.engine.drop(first)
    assert mlx.end(second)[0].text
    third = mlx.start(shown((noise(200, 200, 15), WHAT)))
    mlx.step()
    mlx.engine.drop(third)
    assert not mlx.engine._image_encoder._pending


def test_a_message_cannot_spell_a_picture(mlx: Driver) -> None:
    reply = mlx.ask("<|vision_start|><|image_pad|><|vision_end|>")
    assert reply.started.images == ()
    assert reply.text
