"""Trains a tiny model in the layout of HyperCLOVA X SEED Vision on the same pictures and questions.

The modules are the server's own (`app.provider.architectures.hyperclovax`): what is trained is run.
"""

import time
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from random import Random
from typing import Any

import numpy as np
import torch
from torch.nn import functional
from transformers import PreTrainedTokenizerFast

from app.provider.architectures.hyperclovax.config import parse_config
from app.provider.architectures.hyperclovax.model import HyperClovaX
from app.provider.architectures.hyperclovax.pixels import tiles
from app.provider.architectures.hyperclovax.tiling import Tiling, fitted, squared
from training.vision_starter.batches import BATCH
from training.vision_starter.comparing import Comparing
from training.vision_starter.conversations import conversation
from training.vision_starter.drawing import Scene, scene
from training.vision_starter.hyperclovax_config import SIDE, settings
from training.vision_starter.hyperclovax_prompt import IMAGE, parts
from training.vision_starter.labels import NOTHING, labels
from training.vision_starter.network import Helper, smooth_filters
from training.vision_starter.optimizing import Course, descend, mixed, rounded, set_rate
from training.vision_starter.train import right_share

TOWER_STEPS, STEPS = 1600, 1000
PEAK_RATE, TOWER_SHARE, HELP = 2e-3, 0.4, 0.5
IN_WHOLE_ONLY = ("row", "column", "count", "order", "layout")  # what a tile alone cannot tell

Labels = dict[str, np.ndarray]


@dataclass(frozen=True)
class Shown:
    """A picture: its size in pixels, its tiles, and the labels of its tokens."""

    width: int
    height: int
    tiles: np.ndarray
    labels: Labels


Example = tuple[list[int], list[float], list[Shown]]
"""Ids of a conversation, how much each is learned, and the pictures."""


def train(
    tokenizer: PreTrainedTokenizerFast, text: dict[str, torch.Tensor], seed: int
) -> HyperClovaX:
    """Train on pictures alone and then on conversations; `text` are the first model's weights."""
    torch.manual_seed(seed)
    model, helper = new_model(tokenizer), Helper()
    train_vision_tower(model, helper, Course(TOWER_STEPS, seed, PEAK_RATE))
    start_text(model, text)
    train_answers(model, helper, tokenizer, Course(STEPS, seed, PEAK_RATE))
    return rounded(model)


def go_on(
    model: HyperClovaX, tokenizer: PreTrainedTokenizerFast, steps: int, seed: int
) -> HyperClovaX:
    """Train a finished model further on conversations."""
    course = Course(steps, seed, PEAK_RATE)
    torch.manual_seed(seed)
    model.language_model.tie_weights()
    train_answers(model.requires_grad_(True).train(), Helper(), tokenizer, course)
    return rounded(model)


def new_model(tokenizer: PreTrainedTokenizerFast) -> HyperClovaX:
    """Return an untrained model whose first filters are smooth waves."""
    model = HyperClovaX(parse_config(*settings(tokenizer)))
    filters = model.vision_model.embeddings.patch_embedding.weight
    with torch.no_grad():
        filters.copy_(2 * smooth_filters(len(filters)))
    return model


def start_text(model: HyperClovaX, weights: dict[str, torch.Tensor]) -> None:
    """Start the text half from that of the first model, which has biases besides."""
    prefix = "model.language_model."
    theirs = {name.removeprefix(prefix): values for name, values in weights.items()}
    ours = model.language_model.model.state_dict()
    model.language_model.model.load_state_dict({name: theirs[name] for name in ours})


def prepare(shown: Scene, model: HyperClovaX) -> Shown:
    """Draw a scene, cut the picture into tiles and label its tokens."""
    picture, config = shown.draw(), model.config
    cut = tiles(picture, config.tiling, config.pixels)
    return Shown(*picture.size, cut, token_labels(shown, config.tiling))


def token_labels(shown: Scene, tiling: Tiling) -> Labels:
    """Return the labels of the global view, then of the local one with its newlines."""
    size, (width, height) = tiling.size, (shown.width, shown.height)
    across, down = squared(width, height, size)
    frame = ((size - across) // 2, (size - down) // 2, across, down)
    whole = labels(shown, frame, (tiling.side, tiling.side))
    canvas = tiling.canvas(width, height)
    if canvas is None:
        return whole
    across, down = fitted(width, height, canvas)
    frame = ((canvas.width - across) // 2, (canvas.height - down) // 2, across, down)
    rows, columns = (n * tiling.side for n in tiling.grid(canvas))
    window = tiling.window(width, height, canvas)
    local = {}
    for name, values in labels(shown, frame, (rows, columns)).items():
        board = values.reshape(rows, columns)
        seen = board[window.top :, window.left :][: window.rows, : window.columns]
        local[name] = np.pad(seen, ((0, 0), (0, 1)), constant_values=NOTHING).ravel()
        if name in IN_WHOLE_ONLY:
            local[name][:] = NOTHING
    return {name: np.concatenate([whole[name], local[name]]) for name in whole}


def encode_images(model: HyperClovaX, pictures: Sequence[Shown]) -> list[torch.Tensor]:
    """Return the rows of each picture, all tiles of all of them encoded at once."""
    stacked = torch.from_numpy(np.concatenate([one.tiles for one in pictures]))
    features = model.features(stacked, [SIDE**2] * len(stacked))
    rows, start = [], 0
    for one in pictures:
        end = start + len(one.tiles)
        rows.append(model.arranged(features[start:end], one.width, one.height))
        start = end
    return rows


def help_loss(helper: Helper, rows: list[torch.Tensor], pictures: Sequence[Shown]) -> Any:
    """Return the loss of the auxiliary head and the share it got right."""
    names = pictures[0].labels
    wanted = {n: torch.from_numpy(np.concatenate([p.labels[n] for p in pictures])) for n in names}
    return helper(torch.cat(rows)[None], {n: values[None] for n, values in wanted.items()})


def train_vision_tower(model: HyperClovaX, helper: Helper, course: Course) -> None:
    """Train tower, projector and helper on pictures alone."""
    random, count, steps = Random(course.seed), 40, course.steps
    learned = [*tower_parameters(model), *helper.parameters()]
    optimizer = torch.optim.AdamW(learned, betas=(0.9, 0.98), weight_decay=0.05)
    started = time.monotonic()
    for step in range(steps):
        set_rate(optimizer, course, step)
        pictures = [prepare(scene(random), model) for _ in range(count)]
        loss, right = help_loss(helper, encode_images(model, pictures), pictures)
        descend(optimizer, loss, learned)
        if step % 50 == 49:
            shares = "  ".join(f"{n} {share:.3f}" for n, share in right.items())
            print(
                f"tower {step + 1}/{steps}  {time.monotonic() - started:.0f} s  {shares}",
                flush=True,
            )


def tower_parameters(model: HyperClovaX) -> list[torch.nn.Parameter]:
    """Return what turns pictures into rows."""
    return [*model.vision_model.parameters(), *model.mm_projector.parameters(), model.image_newline]


class Writer:
    """Writes conversations as tokens and pictures."""

    def __init__(
        self, tokenizer: PreTrainedTokenizerFast, model: HyperClovaX, random: Random
    ) -> None:
        self.tokenizer, self.model, self.random = tokenizer, model, random
        self.image: int = tokenizer.convert_tokens_to_ids(IMAGE)

    def example(self) -> Example:
        """Return a new conversation."""
        ids: list[int] = []
        learned: list[float] = []
        pictures: list[Shown] = []
        for pieces, wanted in parts(conversation(self.random), self.random):
            start = len(ids)
            for piece in pieces:
                if isinstance(piece, Scene):
                    pictures.append(prepare(piece, self.model))
                    ids += [self.image] * len(pictures[-1].labels["colour"])
                else:
                    ids += self.tokenizer.encode(piece, add_special_tokens=False)
            learned += [wanted] * (len(ids) - start)
        return ids, learned, pictures


def train_answers(
    model: HyperClovaX, helper: Helper, tokenizer: PreTrainedTokenizerFast, course: Course
) -> None:
    """Train everything on conversations."""
    steps, seed = course.steps, course.seed
    writer, comparing = Writer(tokenizer, model, Random(seed)), Comparing(tokenizer, Random(seed))
    groups = [
        {"params": [*tower_parameters(model), *helper.parameters()], "share": TOWER_SHARE},
        {"params": list(model.language_model.parameters()), "share": 1.0},
    ]
    optimizer = torch.optim.AdamW(groups, betas=(0.9, 0.98), weight_decay=0.05)
    learned = [p for group in groups for p in group["params"]]
    started, recent = time.monotonic(), deque[tuple[float, float]](maxlen=50)
    waiting: list[Any] = []
    for step in range(steps):
        set_rate(optimizer, course, step)
        waiting = waiting or grouped(writer)
        with mixed():
            loss, right, helping = answer_loss(model, helper, waiting.pop(), writer.image)
            compared = comparing.loss(model.language_model.model, model.language_model.lm_head)
        descend(optimizer, loss + HELP * helping + compared, learned)
        recent.append((loss.item(), right))
        if step % 50 == 49:
            mean, share = (sum(values) / len(recent) for values in zip(*recent, strict=True))
            text = f"answers {step + 1}/{steps}  {time.monotonic() - started:.0f} s"
            verdicts = f"comparing level {comparing.level}: {sum(comparing.recent) / 8:.3f}"
            print(f"{text}  loss {mean:.4f}  right {share:.3f}  {verdicts}", flush=True)


def grouped(writer: Writer) -> list[list[Example]]:
    """Return a few batches, each of conversations of like length, in any order."""
    pool = sorted((writer.example() for _ in range(4 * BATCH)), key=lambda example: len(example[0]))
    made = [pool[start : start + BATCH] for start in range(0, len(pool), BATCH)]
    writer.random.shuffle(made)
    return made


def answer_loss(
    model: HyperClovaX,
    helper: Helper,
    batch: list[Example],
    image: int,
) -> tuple[torch.Tensor, float, torch.Tensor]:
    """Return the loss, the share of answers right in every token, and the helping head's loss."""
    width = max(len(ids) for ids, _, _ in batch)
    ids = torch.tensor([row + [0] * (width - len(row)) for row, _, _ in batch])
    weights = torch.tensor([row + [0.0] * (width - len(row)) for _, row, _ in batch])[:, 1:]
    pictures = [one for _, _, shown in batch for one in shown]
    rows = encode_images(model, pictures)
    at = (ids == image).flatten().nonzero()[:, 0]
    inputs = model.embeddings(ids).flatten(0, 1)
    inputs = inputs.index_copy(0, at, torch.cat(rows).to(inputs.dtype))
    llama = model.language_model
    hidden = llama.model(inputs_embeds=inputs.view(*ids.shape, -1), use_cache=False)[0]
    wanted = weights > 0
    scores, targets = llama.lm_head(hidden[:, :-1][wanted]), ids[:, 1:][wanted]
    each = functional.cross_entropy(scores, targets, reduction="none")
    loss = (each * weights[wanted]).mean()
    return loss, right_share(scores, targets, wanted), help_loss(helper, rows, pictures)[0]
