"""Who is being read and who is being written, with their keys and values.

Each prompt is read in a row of its own; the rows of running answers are one batch.
"""

from __future__ import annotations

from array import array
from collections.abc import Sequence
from dataclasses import dataclass, field

import torch

from app.provider.engines.pytorch.cache import KeyValues
from app.provider.engines.pytorch.families import Family
from app.provider.engines.pytorch.image_encoder import Seen
from app.provider.generation.output_stream import OutputStream
from app.provider.generation.prefix_cache import SHORTEST, PrefixStore, common_prefix
from app.provider.generation.prepared_prompt import PreparedPrompt
from app.provider.generation.sampler import Sampler


@dataclass(slots=True, eq=False)
class SequenceState:
    """A prompt being read, then its answer being written.

    ``positions`` are those of the prompt ``[axes, length]``; ``tokens`` are computed. ``seen`` is
    None as long as its pictures are looked at. ``pending`` is known and not computed yet.
    """

    number: int
    prompt: PreparedPrompt
    positions: torch.Tensor
    sampler: Sampler
    output: OutputStream
    tokens: array[int]
    cache: KeyValues
    seen: Seen | None
    prefill_tokens: int
    pending: int = field(init=False)

    def __post_init__(self) -> None:
        self.pending = self.prompt.tokens[-1]

    @property
    def prefill_left(self) -> int:
        """Prompt tokens before the last one that are not computed yet."""
        return max(0, len(self.prompt.tokens) - 1 - len(self.tokens))


class Rows:
    """The rows of a model. What has been computed is kept in ``store`` for the same owner.

    ``like`` is a cache with something in it, which tells where layers are and what a token takes.
    """

    def __init__(self, family: Family, store: PrefixStore[KeyValues], like: KeyValues) -> None:
        self._decoder = family.decoder
        self._image_token = family.image_token
        self._store = store
        self._token_bytes = like.bytes_per_token
        self._devices = like.devices
        self._batch = KeyValues([])
        self.reading: list[SequenceState] = []
        self.running: list[SequenceState] = []  # in the order of the batch

    def known(self, prompt: PreparedPrompt) -> tuple[int, KeyValues]:
        """The longest computed prefix of a prompt, without its last token and no half picture."""
        wanted = prompt.tokens[:-1]
        source, shared = self._best_answer(prompt.owner, wanted)
        kept, length = self._store.find(prompt.owner, wanted, more_than=shared)
        if kept is not None and (length := prompt.cut_before_image(length)) > shared:
            return length, kept.state.shortened(length, self._devices)
        shared = prompt.cut_before_image(shared)
        if source is None or not shared:
            return 0, KeyValues()
        return shared, self._cache_of(source, shared).shortened(shared, self._devices)

    def read(self, answer: SequenceState, count: int) -> None:
        """Compute the next tokens of a prompt."""
        done = len(answer.tokens)
        piece = answer.prompt.tokens[done : done + count]
        positions = answer.positions[:, None, done : done + count]
        self._decoder.compute(self._given(answer, piece), positions, answer.cache)
        answer.tokens.extend(piece)

    def start(self, answer: SequenceState) -> None:
        """Put an answer whose prompt is read into the batch."""
        self.reading.remove(answer)
        self._batch = self._batch.joined(answer.cache)
        answer.cache = KeyValues([])
        self.running.append(answer)

    def write(self) -> torch.Tensor:
        """Compute the pending token of every running answer; logits ``[rows, vocabulary]``."""
        given = torch.tensor([[answer.pending] for answer in self.running])
        axes = self.running[0].positions.shape[0]
        at = [answer.prompt.position(len(answer.tokens)) for answer in self.running]
        positions = torch.tensor(at)[None, :, None].expand(axes, -1, -1)
        logits = self._decoder.compute(given, positions, self._batch)
        for answer in self.running:
            answer.tokens.append(answer.pending)
        return logits

    def remove(self, answers: Sequence[SequenceState]) -> None:
        """Take answers out; what they computed can be used again."""
        for answer in answers:
            self._keep(answer)
            if answer in self.reading:
                self.reading.remove(answer)
        if rest := [row for row, one in enumerate(self.running) if one not in answers]:
            self._batch = self._batch if len(rest) == len(self.running) else self._batch.only(rest)
        else:
            self._batch = KeyValues([])
        self.running = [self.running[row] for row in rest]

    def _given(self, answer: SequenceState, piece: array[int]) -> torch.Tensor:
        """Tokens ``[1, n]``, or input rows ``[1, n, hidden]`` where there is a picture."""
        tokens = torch.tensor(piece)
        if not (tokens < 0).any():
            return tokens[None]
        rows = self._decoder.rows(tokens.where(tokens >= 0, self._image_token)).clone()
        first = len(answer.tokens)
        for image, features in answer.seen or ():
            start, end = max(image.start, first), min(image.end, first + len(piece))
            if start < end:
                part = features[start - image.start : end - image.start]
                rows[start - first : end - first] = part.to(rows)
        return rows[None]

    def _best_answer(self, owner: str, wanted: array[int]) -> tuple[SequenceState | None, int]:
        """The answer in hand that shares the longest prefix, and how long that is."""
        best, longest = None, SHORTEST - 1
        for answer in (*self.reading, *self.running):
            if answer.prompt.owner == owner:
                shared = common_prefix(answer.tokens, wanted)
                if shared > longest:
                    best, longest = answer, shared
        return best, longest

    def _cache_of(self, answer: SequenceState, length: int) -> KeyValues:
        if answer in self.running:
            return self._batch.taken(self.running.index(answer), length)
        return answer.cache.taken(0, length)

    def _keep(self, answer: SequenceState) -> None:
        length = len(answer.tokens)
        if length:
            self._store.keep(
                answer.prompt.owner,
                answer.tokens[:length],
                length * self._token_bytes,
                lambda: self._cache_of(answer, length).in_ram(),
            )
