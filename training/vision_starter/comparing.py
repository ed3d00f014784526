"""Teaches the text half to compare what was asked for with what is seen, in words alone.

Whether two words name the same thing is all or nothing: among eight colours and four shapes the
network still guesses after a thousand steps. With two colours it finds out within fifty, and
more are added when it knows these. The pictures are left out: the answer already states what is
to be seen, and only the verdict after it is learned.
"""

from collections import deque
from collections.abc import Sequence
from random import Random

import torch
from torch import nn
from torch.nn import functional
from transformers import PreTrainedTokenizerFast

from training.vision_starter.chatml import IM_END, IM_START
from training.vision_starter.drawing import COLOURS, SHAPES, Scene, Thing
from training.vision_starter.questions import Language, Slots, fill, phrases
from training.vision_starter.words import LANGUAGES

LEVELS = (("colour", 2), ("colour", 4), ("colour", 8), ("shape", 2), ("shape", 4), ("both", 0))
"""What is compared and how many of it are in use; before the last, the one named is asked for."""

AGAIN = 0.3  # share of colours while shapes are learned
KNOWN = 0.93  # share of right verdicts that opens the next level
BATCH = 32  # conversations


class Comparing:
    """Batches of verdicts that become harder as the network learns."""

    def __init__(self, tokenizer: PreTrainedTokenizerFast, random: Random) -> None:
        self.tokenizer, self.random = tokenizer, random
        self.level = 0
        self.recent: deque[float] = deque(maxlen=8)

    def loss(self, text: nn.Module, head: nn.Module) -> torch.Tensor:
        """Return the loss of a new batch, of a text half and its output layer."""
        rows = [self._example() for _ in range(BATCH)]
        width = max(len(ids) for ids, _ in rows)
        ids = torch.tensor([row + [0] * (width - len(row)) for row, _ in rows])
        at = torch.tensor(
            [i * width + place for i, (_, places) in enumerate(rows) for place in places]
        )
        hidden = text(input_ids=ids, use_cache=False).last_hidden_state
        scores, wanted = head(hidden.flatten(0, 1)[at - 1]), ids.flatten()[at]
        self._note((scores.argmax(-1) == wanted).float().mean().item())
        return functional.cross_entropy(scores, wanted)

    def _note(self, right: float) -> None:
        self.recent.append(right)
        known = len(self.recent) == 8 and sum(self.recent) > 8 * KNOWN
        if known and self.level < len(LEVELS) - 1:
            self.level += 1
            self.recent.clear()

    def _example(self) -> tuple[list[int], list[int]]:
        """Return one to three questions with their answers, and where the verdicts stand."""
        last = self.level == len(LEVELS) - 1
        shown, ids, places = self._scene(), list[int](), list[int]()
        for _ in range(self.random.choice((1, 2, 3)) if last else 1):
            language = self.random.choice(list(LANGUAGES))
            words, template = LANGUAGES[language], self._template(language)
            asked = self._asked(shown, template)
            found = bool(asked.match(template, shown.things))
            question = f"{IM_START}user\n{fill(words, template, asked)}{IM_END}\n"
            ids += self._tokens(f"{question}{IM_START}assistant\n{words.seen(shown)}")
            yes, no = (self._verdict(words, shown, found=answer) for answer in (True, False))
            places.append(len(ids) + next(i for i in range(len(no)) if yes[i] != no[i]))
            ids += yes if found else no
        return ids, places

    def _verdict(self, words: Language, shown: Scene, *, found: bool) -> list[int]:
        verdict = words.verdict(shown, found=found).removeprefix(words.seen(shown))
        return self._tokens(f"{verdict}{IM_END}\n")

    def _tokens(self, text: str) -> list[int]:
        ids: list[int] = self.tokenizer.encode(text, add_special_tokens=False)
        return ids

    def _template(self, language: str) -> str:
        templates = phrases()[language]["is"]["ask"]
        topic = LEVELS[self.level][0]
        if topic == "shape" and self.random.random() < AGAIN:
            topic = "colour"
        return self.random.choice([t for t in templates if topic in ("both", _topic(t))])

    def _scene(self) -> Scene:
        colours, shapes = self._known()
        number = self.random.choice((1, 1, 2)) if LEVELS[self.level][0] == "both" else 1
        things = tuple(self._thing(colours, shapes) for _ in range(number))
        return Scene(100, 100, things, ((0, 0, 0), (0, 0, 0)), 0, 0, 0)

    def _known(self) -> tuple[Sequence[str], Sequence[str]]:
        """Return the colours and shapes in use."""
        topic, count = LEVELS[self.level]
        colours = list(COLOURS)[: count if topic == "colour" else None]
        return colours, SHAPES[: count if topic == "shape" else None]

    def _asked(self, shown: Scene, template: str) -> Slots:
        """Return what is asked for: there, nearly there, or not."""
        wanted, (colours, shapes) = self.random.random() < 0.5, self._known()
        for _ in range(40):
            near = self.random.choice(shown.things)
            colour = near.colour if self.random.random() < 0.5 else self.random.choice(colours)
            shape = near.shape if self.random.random() < 0.5 else self.random.choice(shapes)
            asked = Slots(colour, shape)
            if bool(asked.match(template, shown.things)) == wanted:
                break
        return asked

    def _thing(self, colours: Sequence[str], shapes: Sequence[str]) -> Thing:
        colour, shape = self.random.choice(colours), self.random.choice(shapes)
        return Thing(colour, shape, 0, 0, 0, 0, COLOURS[colour])


def _topic(template: str) -> str:
    if "thing}" in template or "things}" in template:
        return "thing"
    return "colour" if "{colour}" in template else "shape"
