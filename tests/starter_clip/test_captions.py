"""Captions say what is true of a drawing, and held-out wordings are never trained."""

from random import Random

import pytest

from training.clip_starter.captions import ALIKE, LOOKS, Wording, alike, wordings
from training.starter.corpus import normalise
from training.vision_starter.drawing import scene


@pytest.mark.parametrize("language", ["en", "ko"])
def test_no_held_out_wording_is_trained(language: str) -> None:
    found = wordings()[language]
    trained = {normalise(text.replace("{}", "slot")) for text in found["ask"]}
    held = {normalise(text.replace("{}", "slot")) for text in found["held"]}
    assert held
    assert not trained & held


@pytest.mark.parametrize("language", ["en", "ko"])
def test_different_drawings_have_different_captions(language: str) -> None:
    for held_out in (False, True):
        words = Wording(language, Random(1), held_out)
        seen: dict[str, object] = {}
        for _ in range(20):
            for one in ALIKE:
                assert seen.setdefault(words.alike(*one), one) == one
            two = tuple(sorted(words.random.sample(LOOKS, 2)))
            assert seen.setdefault(words.pair(*two), two) == two


def test_particles_fit_the_word_before_them() -> None:
    captions = {Wording("ko", Random(seed)).alike(2, "red", "star") for seed in range(60)}
    assert "빨간 별 두 개가 있어요" in captions
    assert not [text for text in captions if "개이 " in text]
    one = {Wording("ko", Random(seed)).alike(1, "red", "star") for seed in range(60)}
    assert "빨간 별이 있어요" in one


def test_a_caption_is_chosen_by_what_is_drawn() -> None:
    random = Random(3)
    for shown in (scene(random) for _ in range(200)):
        place = alike(shown)
        if place is None:
            assert shown.pair or not shown.things
        else:
            assert {(len(shown.things), t.colour, t.shape) for t in shown.things} == {ALIKE[place]}
