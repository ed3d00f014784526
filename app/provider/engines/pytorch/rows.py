"""The requests in prefill and the running answers, with their keys and values.

Each prompt is prefilled in a row of its own; the rows of running answers are one batch.
"""

from __future__ import annotations

from array import array
from collections.abc import Sequence
from dataclasses import dataclass, field

import torch

from app.provider.engines.pytorch.cache import KvCache
from app.provider.engines.pytorch.families import LoadedModel
from app.provider.generation.image_encoder import ImageFeatures
from app.provider.generation.output_stream import OutputStream
from app.provider.generation.prefix_cache import SHORTEST, PrefixStore, common_prefix
from app.provider.generation.prepared_prompt import PreparedPrompt
from app.provider.generation.sampler import Sampler


@dataclass(slots=True, eq=False)
class SequenceState:
    """A request: prefill of its prompt, then its answer.

    ``positions`` are those of the prompt ``[axes, length]``; ``tokens`` are computed.
    ``image_features`` is None until its images are encoded. ``pending`` is the token that is
    computed next.
    """

    number: int
    prompt: PreparedPrompt
    positions: torch.Tensor
    sampler: Sampler
    output: OutputStream
    tokens: array[int]
    cache: KvCache
    image_features: list[ImageFeatures[torch.Tensor]] | None
    prefill_tokens: int
    pending: int = field(init=False)

    def __post_init__(self) -> None:
        self.pending = self.prompt.tokens[-1]

    @property
    def prefill_left(self) -> int:
        """Prompt tokens before the last one that are not computed yet."""
        return max(0, len(self.prompt.tokens) - 1 - len(self.tokens))


class Rows:
    """The rows of a model. Computed prefixes are kept in ``store``, for the same owner only.

    ``like`` is a cache that holds a token: it shows the devices of layers and the bytes of a token.
    """

    def __init__(self, model: LoadedModel, store: PrefixStore[KvCache], like: KvCache) -> None:
        self._decoder = model.decoder
        self._image_token = model.image_token
        self._store = store
        self._token_bytes = like.bytes_per_token
        self._devices = like.devices
        self._batch = KvCache([])
        self.in_prefill: list[SequenceState] = []
        self.running: list[SequenceState] = []  # in the order of the batch

    def cached_prefix(self, prompt: PreparedPrompt) -> tuple[int, KvCache]:
        """The longest computed prefix, without the last token; it ends inside no image."""
        wanted = prompt.tokens[:-1]
        source, shared = self._best_answer(prompt.owner, wanted)
        kept, length = self._store.find(prompt.owner, wanted, more_than=shared)
        if kept is not None and (length := prompt.cut_before_image(length)) > shared:
            return length, kept.state.copy_prefix(length, self._devices)
        shared = prompt.cut_before_image(shared)
        if source is None or not shared:
            return 0, KvCache()
        return shared, self._cache_of(source, shared).copy_prefix(shared, self._devices)

    def prefill(self, answer: SequenceState, count: int) -> None:
        """Compute the next tokens of a prompt."""
        done = len(answer.tokens)
        piece = answer.prompt.tokens[done : done + count]
        positions = answer.positions[:, None, done : done + count]
        self._decoder.compute(self._model_input(answer, piece), positions, answer.cache)
        answer.tokens.extend(piece)

    def start(self, answer: SequenceState) -> None:
        """Put an answer whose prefill is done into the batch."""
        self.in_prefill.remove(answer)
        self._batch = self._batch.join(answer.cache)
        answer.cache = KvCache([])
        self.running.append(answer)

    def decode(self) -> torch.Tensor:
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
        """Take answers out, and keep what they computed."""
        for answer in answers:
            self._keep(answer)
            if answer in self.in_prefill:
                self.in_prefill.remove(answer)
        if rest := [row for row, one in enumerate(self.running) if one not in answers]:
            self._batch = (
                self._batch if len(rest) == len(self.running) else self._batch.keep_rows(rest)
            )
        else:
            self._batch = KvCache([])
        self.running = [self.running[row] for row in rest]

    def _model_input(self, answer: SequenceState, piece: array[int]) -> torch.Tensor:
        """Tokens ``[1, n]``, or embeddings ``[1, n, hidden]`` where there is an image."""
        tokens = torch.tensor(piece)
        if not (tokens < 0).any():
            return tokens[None]
        rows = self._decoder.rows(tokens.where(tokens >= 0, self._image_token)).clone()
        first = len(answer.tokens)
        for found in answer.image_features or ():
            image = found.image
            start, end = max(image.start, first), min(image.end, first + len(piece))
            if start < end:
                part = found.features[start - image.start : end - image.start]
                rows[start - first : end - first] = part.to(rows)
        return rows[None]

    def _best_answer(self, owner: str, wanted: array[int]) -> tuple[SequenceState | None, int]:
        """Find the request that shares the longest prefix, and the length of that."""
        best, longest = None, SHORTEST - 1
        for answer in (*self.in_prefill, *self.running):
            if answer.prompt.owner == owner:
                shared = common_prefix(answer.tokens, wanted)
                if shared > longest:
                    best, longest = answer, shared
        return best, longest

    def _cache_of(self, answer: SequenceState, length: int) -> KvCache:
        if answer in self.running:
            return self._batch.copy_row(self.running.index(answer), length)
        return answer.cache.copy_row(0, length)

    def _keep(self, answer: SequenceState) -> None:
        length = len(answer.tokens)
        if length:
            self._store.keep(
                answer.prompt.owner,
                answer.tokens[:length],
                length * self._token_bytes,
                lambda: self._cache_of(answer, length).to_cpu(),
            )
