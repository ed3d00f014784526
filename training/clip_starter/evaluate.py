"""Measures the exported encoder on pictures and wordings that training never saw.

`python -m training.clip_starter.evaluate` writes `models/starter-clip/EVALUATION.md`.
"""

import argparse
from collections.abc import Callable
from pathlib import Path
from random import Random
from typing import Any

import numpy as np

from training.clip_starter.captions import ALIKE, LOOKS, Wording, alike, look
from training.clip_starter.engine import Encoder
from training.vision_starter.drawing import COLOURS, MOST, SHAPES, Scene, scene
from training.vision_starter.words import LANGUAGES

FOLDER = "starter-clip"
SEED, PICTURES = 1, 600
ENOUGH = 0.95  # of the matches of colour, shape and count
REQUIRED = ("colour", "shape", "count")
WRONG = 15  # captions beside the right one of an unlike pair
HEAD = """# How well starter-clip matches pictures with words

`python -m training.clip_starter.evaluate` shows it {count} random drawings that training never saw,
with texts in wordings that were never trained, of which one is true. The text with the nearest
vector must be the true one.

Pictures come from the generator that training uses: held out are the pictures and the wordings, not
the style of drawing. Photographs and other drawings are outside of what it knows.

"""
NOTES = """
"colour", "shape", "count": texts that differ in nothing else ("you can see two red circles", "an
illustration of two blue circles", ...), for pictures of one to three objects that are alike. "all":
96 texts, every number, colour and shape. "unlike pair": two objects that differ; the right text is
among {wrong} wrong ones: one has the right colours and shapes, but exchanged, half of the others
have one object right.
"picture of a text": the text is given, and the right one of 96 pictures, or one like it, is found.
"""

Choose = Callable[[Encoder, list[Scene], Wording], float]


def one_kind(part: int) -> Choose:
    """Return a measure with texts that differ in one part: count 0, colour 1, shape 2."""
    values = (range(1, MOST + 1), COLOURS, SHAPES)[part]

    def right(encoder: Encoder, scenes: list[Scene], words: Wording) -> float:
        hits = []
        for shown in scenes:
            true = ALIKE[alike(shown) or 0]
            options: list[Any] = [(*true[:part], value, *true[part + 1 :]) for value in values]
            texts = encoder.texts([words.alike(*option) for option in options])
            nearest = (texts @ encoder.images([shown.draw()])[0]).argmax()
            hits.append(options[nearest] == true)
        return float(np.mean(hits))

    return right


def everything(encoder: Encoder, scenes: list[Scene], words: Wording) -> float:
    """Return how often the right one of all 96 texts is found."""
    texts = encoder.texts([words.alike(*one) for one in ALIKE])
    nearest = (encoder.images([shown.draw() for shown in scenes]) @ texts.T).argmax(1)
    return float(np.mean([alike(shown) == n for shown, n in zip(scenes, nearest, strict=True)]))


def pictures_of_texts(encoder: Encoder, scenes: list[Scene], words: Wording) -> float:
    """Return how often a text finds a picture that it is true of."""
    shown = scenes[: len(ALIKE)]
    texts = encoder.texts([words.alike(*ALIKE[alike(one) or 0]) for one in shown])
    nearest = (texts @ encoder.images([one.draw() for one in shown]).T).argmax(1)
    return float(
        np.mean([alike(shown[n]) == alike(s) for n, s in zip(nearest, shown, strict=True)])
    )


def pairs(encoder: Encoder, scenes: list[Scene], words: Wording) -> float:
    """Return how often the text about both of two unlike objects is found."""
    hits = []
    for shown in scenes:
        texts = encoder.texts([words.pair(*two) for two in _options(shown, words.random)])
        hits.append((texts @ encoder.images([shown.draw()])[0]).argmax() == 0)
    return float(np.mean(hits))


def _options(shown: Scene, random: Random) -> list[tuple[tuple[str, str], tuple[str, str]]]:
    """Return the right pair, then wrong ones."""
    first, second = map(look, shown.things)
    right = {first, second}
    options = [(first, second)]
    crossed = ((first[0], second[1]), (second[0], first[1]))
    if set(crossed) != right and crossed[0] != crossed[1]:
        options.append(crossed)
    while len(options) <= WRONG:
        one = random.choice((first, second)) if random.random() < 0.5 else random.choice(LOOKS)
        other = random.choice(LOOKS)
        if one != other and {one, other} != right:
            options.append((one, other))
    return options


MEASURES: dict[str, Choose] = {
    "colour": one_kind(1),
    "shape": one_kind(2),
    "count": one_kind(0),
    "all": everything,
    "picture of a text": pictures_of_texts,
    "unlike pair": pairs,
}


def measure(encoder: Encoder, count: int, seed: int = SEED) -> dict[str, dict[str, float]]:
    """Return the share of right matches of every kind, by language."""
    scenes = [scene(Random(f"held out {seed} {at}")) for at in range(count)]
    of_alike = [shown for shown in scenes if alike(shown) is not None]
    unlike = [shown for shown in scenes if shown.pair]
    return {
        language: {
            name: choose(
                encoder,
                unlike if choose is pairs else of_alike,
                Wording(language, Random(seed), held_out=True),
            )
            for name, choose in MEASURES.items()
        }
        for language in LANGUAGES
    }


def report(models: Path, count: int = PICTURES) -> None:
    """Measure the files and write EVALUATION.md. Raises ValueError where they are not enough."""
    figures = measure(Encoder(models / FOLDER), count)
    rows = ["| what differs | " + " | ".join(figures) + " |", "|---|" + "---|" * len(figures)]
    for name in MEASURES:
        cells = " | ".join(f"{100 * shares[name]:.1f} %" for shares in figures.values())
        rows.append(f"| {name} | {cells} |")
    text = HEAD.format(count=count) + "\n".join(rows) + "\n" + NOTES.format(wrong=WRONG)
    (models / FOLDER / "EVALUATION.md").write_text(text, encoding="utf-8")
    print(text, flush=True)
    least = min(shares[name] for shares in figures.values() for name in REQUIRED)
    if least < ENOUGH:
        raise ValueError(f"only {least:.3f} of the matches are right")


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m training.clip_starter.evaluate")
    parser.add_argument("--models", type=Path, default=Path("models"), help="where they are")
    parser.add_argument("--pictures", type=int, default=PICTURES, help="how many to show")
    options = parser.parse_args()
    report(options.models, options.pictures)


if __name__ == "__main__":
    main()
