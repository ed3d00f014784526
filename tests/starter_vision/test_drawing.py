"""The drawings are what their scenes say they are."""

import math
from collections import Counter
from random import Random

import pytest

from training.vision_starter.drawing import (
    CLEAR,
    COLOURS,
    LONGEST,
    MOST,
    SHAPES,
    SHORTEST,
    Scene,
    scene,
)


@pytest.fixture(scope="module")
def scenes() -> list[Scene]:
    random = Random(1)
    return [scene(random) for _ in range(600)]


def test_the_same_numbers_make_the_same_picture() -> None:
    first, second = scene(Random(5)), scene(Random(5))
    assert first == second
    assert first.draw().tobytes() == second.draw().tobytes()


def test_a_picture_has_the_size_of_its_scene_within_the_bounds(scenes: list[Scene]) -> None:
    for shown in scenes[:40]:
        assert shown.draw().size == (shown.width, shown.height)
    for shown in scenes:
        assert min(shown.width, shown.height) >= SHORTEST
        assert max(shown.width, shown.height) <= LONGEST
        assert max(shown.width, shown.height) <= 3.1 * min(shown.width, shown.height)


def test_every_object_is_inside_and_shows_its_paint(scenes: list[Scene]) -> None:
    for shown in scenes:
        for thing in shown.things:
            assert thing.size / 2 <= thing.x + 0.01 <= shown.width - thing.size / 2 + 0.02
            assert thing.size / 2 <= thing.y + 0.01 <= shown.height - thing.size / 2 + 0.02
    for shown in (s for s in scenes[:200] if not s.noise):
        picture = shown.draw()
        for thing in shown.things:
            assert picture.getpixel((int(thing.x), int(thing.y))) == thing.paint


def test_objects_differ_from_their_background_and_do_not_touch(scenes: list[Scene]) -> None:
    for shown in scenes:
        for thing in shown.things:
            assert all(math.dist(thing.paint, ground) >= CLEAR for ground in shown.background)
            others = [other for other in shown.things if other is not thing]
            assert all(math.dist((thing.x, thing.y), (o.x, o.y)) > thing.size for o in others)


def test_several_objects_are_alike_or_an_unlike_pair(scenes: list[Scene]) -> None:
    for shown in scenes:
        looks = {(thing.colour, thing.shape) for thing in shown.things}
        assert len(looks) <= 1 or (len(looks) == 2 == len(shown.things))
        assert len(shown.things) <= MOST


def test_one_object_stands_clearly_in_one_third(scenes: list[Scene]) -> None:
    for shown in (s for s in scenes if len(s.things) == 1):
        for share in (shown.things[0].x / shown.width, shown.things[0].y / shown.height):
            assert min(abs(share - 1 / 3), abs(share - 2 / 3)) > 0.05


def test_every_colour_shape_number_and_place_occurs(scenes: list[Scene]) -> None:
    things = [thing for shown in scenes for thing in shown.things]
    assert {thing.colour for thing in things} == set(COLOURS)
    assert {thing.shape for thing in things} == set(SHAPES)
    assert set(Counter(len(shown.things) for shown in scenes)) == set(range(MOST + 1))
    ones = [shown for shown in scenes if len(shown.things) == 1]
    assert len({shown.zone(shown.things[0]) for shown in ones}) == 9
