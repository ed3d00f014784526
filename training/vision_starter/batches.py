"""Makes batches of conversations: tokens, their places, what is learned, and the pictures."""

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from random import Random

import numpy as np
import torch
from transformers import PreTrainedTokenizerFast

from training.vision_starter.chatml import IM_END, IM_START, IMAGE, VISION_END, VISION_START
from training.vision_starter.conversations import Conversation, Turn, conversation
from training.vision_starter.drawing import any_size
from training.vision_starter.pictures import Grid, grid_of
from training.vision_starter.questions import Asked
from training.vision_starter.vision_tower import PictureInput, prepare, stack

BATCH = 48  # conversations
VERDICT = 4.0  # weight of the tokens that say yes or no
POOLED = 2  # batches of one grid sorted by length together, so that they need little padding


@dataclass
class Example:
    """One conversation: ids, M-RoPE places (time, row, column), which ids are to be learned.

    `weighty` are the indices of those that count more.
    """

    ids: list[int] = field(default_factory=list)
    places: list[tuple[int, int, int]] = field(default_factory=list)
    learned: list[bool] = field(default_factory=list)
    pictures: list[PictureInput] = field(default_factory=list)
    weighty: list[int] = field(default_factory=list)
    next_place: int = 0

    def add(self, tokens: list[int], learned: bool) -> None:
        """Append text, each token one place further."""
        start = self.next_place
        self.ids += tokens
        self.places += [(start + i,) * 3 for i in range(len(tokens))]
        self.learned += [learned] * len(tokens)
        self.next_place = start + len(tokens)

    def add_picture(self, seen: PictureInput, token: int) -> None:
        """Append a picture: all its tokens at one time, apart in rows and columns."""
        (rows, columns), start = seen[2], self.next_place
        self.ids += [token] * (rows * columns)
        self.places += [(start, start + r, start + c) for r in range(rows) for c in range(columns)]
        self.learned += [False] * (rows * columns)
        self.pictures.append(seen)
        self.next_place = start + max(rows, columns)


@dataclass(frozen=True)
class Batch:
    """Tensors (conversations, tokens); `places` (3, conversations, tokens).

    `weights` says how much each token to be learned counts.
    `pictures` holds, per grid, the patches, the labels, and the flat index of every picture token.
    """

    ids: torch.Tensor
    places: torch.Tensor
    learned: torch.Tensor
    weights: torch.Tensor
    pictures: list[tuple[Grid, torch.Tensor, dict[str, torch.Tensor], torch.Tensor]]


class Writer:
    """Writes conversations as tokens."""

    def __init__(self, tokenizer: PreTrainedTokenizerFast, random: Random) -> None:
        self.tokenizer, self.random = tokenizer, random
        self.image: int = tokenizer.convert_tokens_to_ids(IMAGE)

    def example(self, talk: Conversation) -> Example:
        """Return a conversation as tokens, its pictures drawn."""
        made = Example()
        if talk.system is not None:
            made.add(self._tokens(f"{IM_START}system\n{talk.system}{IM_END}\n"), learned=False)
        for turn in talk.turns:
            self._ask(made, turn)
            self._answer(made, turn.asked)
            made.add(self._tokens("\n"), learned=False)
        return made

    def _answer(self, made: Example, asked: Asked) -> None:
        """A verdict is one token among many and the hardest: it counts more."""
        seen, rest = asked.parts
        made.add(self._tokens(seen), learned=True)
        start = len(made.ids)
        made.add(self._tokens(rest + IM_END), learned=True)
        made.weighty += range(start, len(made.ids)) if seen else ()

    def _ask(self, made: Example, turn: Turn) -> None:
        question = self._tokens(turn.asked.question)
        made.add(self._tokens(f"{IM_START}user\n"), learned=False)
        if not turn.pictures_first:
            made.add(question, learned=False)
        for scene in turn.scenes:
            made.add(self._tokens(VISION_START), learned=False)
            made.add_picture(prepare(scene, self.random), self.image)
            made.add(self._tokens(VISION_END), learned=False)
        if turn.pictures_first:
            made.add(question, learned=False)
        made.add(self._tokens(f"{IM_END}\n{IM_START}assistant\n"), learned=False)

    def _tokens(self, text: str) -> list[int]:
        ids: list[int] = self.tokenizer.encode(text, add_special_tokens=False)
        return ids


def batches(writer: Writer, random: Random, longest: int = 400) -> Iterator[Batch]:
    """Yield batches whose pictures mostly have one grid; pictures up to a side in pixels."""
    waiting: dict[Grid, list[Conversation]] = defaultdict(list)
    while True:
        size = any_size(random)
        if max(size) > longest:
            continue
        group = waiting[grid_of(*size)]
        group.append(conversation(random, size))
        if len(group) == BATCH * POOLED:
            made = sorted(map(writer.example, group), key=lambda e: len(e.ids))
            group.clear()
            for start in random.sample(range(0, len(made), BATCH), POOLED):
                yield collate(made[start : start + BATCH], writer.image)


def collate(examples: list[Example], image: int) -> Batch:
    """Pad on the right: causal attention never looks there, so no mask is needed."""
    width = max(len(e.ids) for e in examples)
    ids = torch.zeros(len(examples), width, dtype=torch.long)
    places = torch.zeros(3, len(examples), width, dtype=torch.long)
    learned = torch.zeros(len(examples), width, dtype=torch.bool)
    weights = torch.ones(len(examples), width)
    groups: dict[Grid, list[tuple[PictureInput, np.ndarray]]] = defaultdict(list)
    for row, example in enumerate(examples):
        length = len(example.ids)
        ids[row, :length] = torch.tensor(example.ids)
        places[:, row, :length] = torch.tensor(example.places).T
        learned[row, :length] = torch.tensor(example.learned)
        weights[row, example.weighty] = VERDICT
        at = row * width + np.flatnonzero(np.array(example.ids) == image)
        for seen in example.pictures:
            size = seen[2][0] * seen[2][1]
            groups[seen[2]].append((seen, at[:size]))
            at = at[size:]
    pictures = []
    for grid, found in groups.items():
        inputs, targets = stack([seen for seen, _ in found])
        where = torch.from_numpy(np.concatenate([at for _, at in found]))
        pictures.append((grid, inputs, targets, where))
    return Batch(ids, places, learned, weights, pictures)
