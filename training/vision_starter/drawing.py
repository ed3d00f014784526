"""Simple drawings: what is in one (`Scene`), and the picture of it.

A scene is a pure function of the random numbers it is made from, and a picture is one of its scene.
Needs only Pillow and the standard library.
"""

import math
from dataclasses import dataclass
from random import Random

from PIL import Image, ImageDraw

RGB = tuple[int, int, int]

COLOURS: dict[str, RGB] = {
    "red": (214, 36, 36),
    "orange": (250, 140, 20),
    "yellow": (246, 222, 40),
    "green": (40, 160, 60),
    "blue": (40, 80, 220),
    "purple": (140, 50, 170),
    "black": (20, 20, 20),
    "white": (246, 246, 246),
}
SHAPES = ("circle", "square", "triangle", "star")
SHORTEST, LONGEST, SLIMMEST = 60, 400, 3  # pixels; pixels; longer side to shorter
MOST = 3  # objects in a picture
SMALLEST = 30  # pixels across an object in the picture the model sees
MODEL_PIXELS = 49 * 28 * 28  # pixels of the largest picture the model sees
FINE = 4  # an object is drawn so many times larger and reduced, for smooth edges
CLEAR = 130  # least distance in RGB between an object and its background


@dataclass(frozen=True)
class Thing:
    """One object: its centre and size in pixels, and how far it is turned, in degrees."""

    colour: str
    shape: str
    x: float
    y: float
    size: float
    turn: float
    paint: RGB


@dataclass(frozen=True)
class Scene:
    """What is drawn. Several things are alike; two things may also be a pair of unlike ones."""

    width: int
    height: int
    things: tuple[Thing, ...]
    background: tuple[RGB, RGB]
    angle: int
    noise: float
    grain: int

    @property
    def pair(self) -> bool:
        """Whether there are two things, and not of the same colour and shape."""
        return len({(thing.colour, thing.shape) for thing in self.things}) == 2

    @property
    def beside(self) -> bool:
        """Whether the first of two things is left of the second, and not above it."""
        first, second = self.things
        return second.x - first.x > second.y - first.y

    def zone(self, thing: Thing) -> tuple[int, int]:
        """Return row and column of the third of the picture that holds the thing's centre."""
        return int(3 * thing.y / self.height), int(3 * thing.x / self.width)

    def draw(self) -> Image.Image:
        """Return the picture in RGB."""
        picture = self._ground()
        for thing in self.things:
            mask = _mask(thing)
            corner = (round(thing.x - mask.width / 2), round(thing.y - mask.height / 2))
            picture.paste(thing.paint, corner, mask)
        return self._with_noise(picture) if self.noise else picture

    def _ground(self) -> Image.Image:
        size = (self.width, self.height)
        if self.background[0] == self.background[1]:
            return Image.new("RGB", size, self.background[0])
        slope = Image.linear_gradient("L").rotate(self.angle).resize(size)
        one, other = (Image.new("RGB", size, colour) for colour in self.background)
        return Image.composite(one, other, slope)

    def _with_noise(self, picture: Image.Image) -> Image.Image:
        size = (self.width, self.height)
        grain = Image.frombytes("L", size, Random(self.grain).randbytes(size[0] * size[1]))
        return Image.blend(picture, grain.convert("RGB"), self.noise)


def scene(random: Random, size: tuple[int, int] | None = None) -> Scene:
    """Make up a scene, of the given width and height in pixels if there are any."""
    width, height = size or any_size(random)
    while True:
        background = _background(random)
        things = _things(random, width, height, background)
        if things is not None:
            noise = random.uniform(0.02, 0.12) if random.random() < 0.35 else 0.0
            angle, grain = random.randrange(360), random.getrandbits(32)
            return Scene(width, height, things, background, angle, noise, grain)


def any_size(random: Random) -> tuple[int, int]:
    """Return a width and a height in pixels."""
    middle = math.exp(random.uniform(math.log(SHORTEST), math.log(LONGEST)))
    slim = math.sqrt(math.exp(random.uniform(-1, 1) * math.log(SLIMMEST)))
    sides = [min(LONGEST, max(SHORTEST, round(side))) for side in (middle * slim, middle / slim)]
    return sides[0], sides[1]


def reduction(width: int, height: int) -> float:
    """Return how many times smaller the model sees a picture; small ones it sees enlarged."""
    return max(0.7, math.sqrt(width * height / MODEL_PIXELS))


def _things(
    random: Random, width: int, height: int, background: tuple[RGB, RGB]
) -> tuple[Thing, ...] | None:
    kind = random.choices(("none", "one", "alike", "pair"), (4, 38, 28, 30))[0]
    if kind == "none":
        return ()
    if kind == "one":
        return _one(random, width, height, background)
    if kind == "alike":
        return _alike(random, width, height, background)
    return _pair(random, width, height, background)


def _one(
    random: Random, width: int, height: int, background: tuple[RGB, RGB]
) -> tuple[Thing, ...] | None:
    row, column = random.randrange(3), random.randrange(3)
    largest = 0.85 if row == column == 1 else 0.45
    size = _size(random, width, height, largest)
    look = _look(random, background)
    if size is None or look is None:
        return None
    x, y = _within(random, column, width, size), _within(random, row, height, size)
    return (_thing(random, look, x, y, size),)


def _within(random: Random, third: int, length: int, size: float) -> float:
    """Return a place clearly inside one third of a length, with the whole object in the picture."""
    if third == 1:
        return random.uniform(0.42, 0.58) * length
    near = random.uniform(size / 2 / length, max(size / 2 / length, 0.26)) * length
    return near if third == 0 else length - near


def _alike(
    random: Random, width: int, height: int, background: tuple[RGB, RGB]
) -> tuple[Thing, ...] | None:
    count = random.randint(2, MOST)
    look = _look(random, background)
    room = 0.62 * math.sqrt(width * height / count) / min(width, height)
    size = _size(random, width, height, min(0.6, room))
    if look is None or size is None:
        return None
    things: list[Thing] = []
    for _ in range(60):
        x, y = (random.uniform(size / 2, side - size / 2) for side in (width, height))
        if all(math.hypot(x - t.x, y - t.y) > 1.15 * size for t in things):
            things.append(_thing(random, look, x, y, size))
            if len(things) == count:
                return tuple(things)
    return None


def _pair(
    random: Random, width: int, height: int, background: tuple[RGB, RGB]
) -> tuple[Thing, ...] | None:
    looks = [_look(random, background), _look(random, background)]
    upright = random.random() < height / (width + height)
    across, along = (width, height) if upright else (height, width)
    size = _size(random, width, height, min(0.6, 0.45 * along / min(width, height)))
    if looks[0] is None or looks[1] is None or looks[0][:2] == looks[1][:2] or size is None:
        return None
    near = random.uniform(size / 2, max(size / 2, 0.3 * along))
    far = along - random.uniform(size / 2, max(size / 2, 0.3 * along))
    centre = random.uniform(max(0.35 * across, size / 2), min(0.65 * across, across - size / 2))
    aside = centre + random.uniform(-0.1, 0.1) * size
    places = [(centre, near), (aside, far)] if upright else [(near, centre), (far, aside)]
    if far - near < 1.15 * size:
        return None
    return tuple(
        _thing(random, look, *p, size) for look, p in zip(looks, places, strict=True) if look
    )


def _size(random: Random, width: int, height: int, largest: float) -> float | None:
    shorter = min(width, height)
    least = max(0.15 * shorter, SMALLEST * reduction(width, height))
    return random.uniform(least, largest * shorter) if least <= largest * shorter else None


def _look(random: Random, background: tuple[RGB, RGB]) -> tuple[str, str, RGB] | None:
    colour = random.choice(list(COLOURS))
    red, green, blue = (
        min(255, max(0, level + random.randint(-12, 12))) for level in COLOURS[colour]
    )
    paint = (red, green, blue)
    if any(math.dist(paint, ground) < CLEAR for ground in background):
        return None
    return colour, random.choice(SHAPES), paint


def _thing(random: Random, look: tuple[str, str, RGB], x: float, y: float, size: float) -> Thing:
    lean = {"circle": 0, "square": 8, "triangle": 12, "star": 36}[look[1]]
    return Thing(look[0], look[1], x, y, size, random.uniform(-lean, lean), look[2])


def _background(random: Random) -> tuple[RGB, RGB]:
    """Return two colours that the ground runs between: mostly light, grey or dark, never vivid."""
    level = random.choices(((225, 255), (150, 225), (0, 90)), (6, 2, 3))[0]
    first = _pale(random, random.randint(*level))
    if random.random() < 0.6:
        return first, first
    return first, _pale(random, random.randint(*level))


def _pale(random: Random, level: int) -> RGB:
    red, green, blue = (min(255, max(0, level + random.randint(-14, 14))) for _ in range(3))
    return red, green, blue


def _mask(thing: Thing) -> Image.Image:
    """Return where the thing is, 255 inside, in a square that just holds it."""
    side = math.ceil(thing.size) + 2
    mask = Image.new("L", (side * FINE, side * FINE))
    pen, middle, radius = ImageDraw.Draw(mask), side * FINE / 2, thing.size * FINE / 2
    if thing.shape == "circle":
        box = (middle - radius, middle - radius, middle + radius, middle + radius)
        pen.ellipse(box, fill=255)
    else:
        pen.polygon(_corners(thing, middle, radius), fill=255)
    return mask.resize((side, side), Image.Resampling.BOX)


def _corners(thing: Thing, middle: float, radius: float) -> list[tuple[float, float]]:
    """Return the corners, clockwise from the top; a star has every second one further in."""
    reach = {"square": [1.0] * 4, "triangle": [1.0] * 3, "star": [1.0, 0.42] * 5}[thing.shape]
    start = thing.turn - 90 + (45 if thing.shape == "square" else 0)
    turns = [math.radians(start + 360 * i / len(reach)) for i in range(len(reach))]
    return [
        (middle + radius * r * math.cos(a), middle + radius * r * math.sin(a))
        for r, a in zip(reach, turns, strict=True)
    ]
