"""The words of the answers: what a scene is called in English and in Korean.

A `Language` knows no randomness and no questions; it says what is true of a scene.
"""

from dataclasses import dataclass

from training.vision_starter.drawing import COLOURS, SHAPES, Scene, Thing

PLACES = (
    ("at the top left", "at the top", "at the top right"),
    ("on the left", "in the middle", "on the right"),
    ("at the bottom left", "at the bottom", "at the bottom right"),
)
NUMBERS = ("None", "One", "Two", "Three")
KO_LOOKS = ("빨간", "주황색", "노란", "초록색", "파란", "보라색", "검은", "하얀")
KO_COLOURS = ("빨간색", "주황색", "노란색", "초록색", "파란색", "보라색", "검은색", "하얀색")
KO_SHAPES = ("원", "사각형", "삼각형", "별")
KO_PLACES = (
    ("왼쪽 위", "위쪽", "오른쪽 위"),
    ("왼쪽", "가운데", "오른쪽"),
    ("왼쪽 아래", "아래쪽", "오른쪽 아래"),
)
KO_NUMBERS = ("", "한", "두", "세")


def places(scene: Scene) -> list[tuple[int, int]]:
    """Return row and column of each thing of a scene with one thing or an unlike pair."""
    if not scene.pair:
        return [scene.zone(thing) for thing in scene.things]
    return [(1, 0), (1, 2)] if scene.beside else [(0, 1), (2, 1)]


@dataclass(frozen=True)
class English:
    """The answers in English, all true of a scene."""

    limits: str = (
        "I can only name colours, shapes, numbers and places of objects in simple drawings."
    )
    missing: str = "Please send me a picture."
    nothing: str = "There is nothing in the picture."

    def thing(self, thing: Thing) -> str:
        """Return the thing's colour and shape, as part of a sentence."""
        return f"{_article(thing.colour)} {thing.colour} {thing.shape}"

    def describe(self, scene: Scene) -> str:
        """Answer what is in the picture."""
        things, there = scene.things, [PLACES[r][c] for r, c in places(scene)]
        if scene.pair:
            first, second = map(self.thing, things)
            return f"{_large(first)} {there[0]} and {second} {there[1]}."
        if len(things) > 1:
            return f"{NUMBERS[len(things)]} {things[0].colour} {things[0].shape}s."
        return f"{_large(self.thing(things[0]))} {there[0]}." if things else self.nothing

    def count(self, number: int) -> str:
        """Answer how many."""
        return f"{NUMBERS[number]}."

    def colour(self, things: tuple[Thing, ...]) -> str:
        """Answer which colour or colours some things have."""
        return _large(" and ".join(dict.fromkeys(thing.colour for thing in things))) + "."

    def shape(self, things: tuple[Thing, ...]) -> str:
        """Answer which shape or shapes some things have."""
        shapes = list(dict.fromkeys(thing.shape for thing in things))
        if len(things) > 1 and len(shapes) == 1:
            return f"{_large(shapes[0])}s."
        return _large(" and ".join(f"a {shape}" for shape in shapes)) + "."

    def where(self, scene: Scene) -> str:
        """Answer where everything is."""
        if len(scene.things) > 1 and not scene.pair:
            return "In several places."
        return _large(" and ".join(self.place(*place) for place in places(scene))) + "."

    def place(self, row: int, column: int) -> str:
        """Return a place as a question names it."""
        return PLACES[row][column]

    def seen(self, scene: Scene) -> str:
        """Say which objects there are."""
        things = scene.things
        if len(things) > 1 and not scene.pair:
            number = NUMBERS[len(things)].lower()
            return f"I see {number} {things[0].colour} {things[0].shape}s."
        return f"I see {' and '.join(map(self.thing, things)) or 'nothing'}."

    def verdict(self, scene: Scene, *, found: bool) -> str:
        """Answer yes or no after what there is to see: words are compared with words."""
        return f"{self.seen(scene)} {'Yes' if found else 'No'}."

    def slots(self, colour: str, shape: str) -> dict[str, str]:
        """Return what fills the slots of a question about this colour and shape."""
        return {
            "a_thing": f"{_article(colour)} {colour} {shape}",
            "thing": f"{colour} {shape}",
            "things": f"{colour} {shape}s",
            "shape": shape,
            "a_shape": f"a {shape}",
            "shapes": f"{shape}s",
            "colour": colour,
        }


@dataclass(frozen=True)
class Korean:
    """The answers in Korean; every shape ends in a consonant, which settles the particles."""

    limits: str = "저는 간단한 그림에 있는 물체의 색, 모양, 개수, 위치만 말할 수 있어요."
    missing: str = "그림을 보내 주세요."
    nothing: str = "그림에 아무것도 없어요."

    def thing(self, thing: Thing) -> str:
        """Return the thing's colour and shape, as part of a sentence."""
        return f"{_look(thing.colour)} {_shape(thing.shape)}"

    def describe(self, scene: Scene) -> str:
        """Answer what is in the picture."""
        things, there = scene.things, [KO_PLACES[r][c] for r, c in places(scene)]
        if scene.pair:
            first, second = map(self.thing, things)
            return f"{there[0]}에 {first}, {there[1]}에 {second}이 있어요."
        if len(things) > 1:
            return f"{self.thing(things[0])}이 {KO_NUMBERS[len(things)]} 개 있어요."
        return f"{there[0]}에 {self.thing(things[0])}이 있어요." if things else self.nothing

    def count(self, number: int) -> str:
        """Answer how many."""
        return f"{KO_NUMBERS[number]} 개예요." if number else "하나도 없어요."

    def colour(self, things: tuple[Thing, ...]) -> str:
        """Answer which colour or colours some things have."""
        return "과 ".join(dict.fromkeys(_colour(thing.colour) for thing in things)) + "이에요."

    def shape(self, things: tuple[Thing, ...]) -> str:
        """Answer which shape or shapes some things have."""
        return "과 ".join(dict.fromkeys(_shape(thing.shape) for thing in things)) + "이에요."

    def where(self, scene: Scene) -> str:
        """Answer where everything is."""
        if len(scene.things) > 1 and not scene.pair:
            return "여러 곳에 있어요."
        return "과 ".join(KO_PLACES[row][column] for row, column in places(scene)) + "에 있어요."

    def place(self, row: int, column: int) -> str:
        """Return a place as a question names it."""
        return f"{KO_PLACES[row][column]}에"

    def seen(self, scene: Scene) -> str:
        """Say which objects there are."""
        things = scene.things
        if len(things) > 1 and not scene.pair:
            return f"보이는 것은 {self.thing(things[0])} {KO_NUMBERS[len(things)]} 개예요."
        named = "과 ".join(map(self.thing, things))
        return f"보이는 것은 {named}이에요." if things else self.nothing

    def verdict(self, scene: Scene, *, found: bool) -> str:
        """Answer yes or no after what there is to see: words are compared with words."""
        return f"{self.seen(scene)} {'네' if found else '아니요'}."

    def slots(self, colour: str, shape: str) -> dict[str, str]:
        """Return what fills the slots of a question about this colour and shape."""
        return {
            "thing": f"{_look(colour)} {_shape(shape)}",
            "shape": _shape(shape),
            "colour": _colour(colour),
            "look": _look(colour),
        }


LANGUAGES: dict[str, English | Korean] = {"en": English(), "ko": Korean()}


def _large(text: str) -> str:
    return text[0].upper() + text[1:]


def _article(colour: str) -> str:
    return "an" if colour[0] in "aeiou" else "a"


def _look(colour: str) -> str:
    return KO_LOOKS[list(COLOURS).index(colour)]


def _colour(colour: str) -> str:
    return KO_COLOURS[list(COLOURS).index(colour)]


def _shape(shape: str) -> str:
    return KO_SHAPES[SHAPES.index(shape)]
