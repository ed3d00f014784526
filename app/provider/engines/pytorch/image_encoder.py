"""The pictures of waiting prompts: looked at between steps, remembered afterwards."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from functools import partial

import torch

from app.provider.engines.pytorch.resumable import Pausable
from app.provider.engines.pytorch.vision_towers import Eyes
from app.provider.generation.prepared_prompt import ImageSize, PlacedImage, PreparedPrompt
from app.provider.generation.vision_cache import FeatureCache, FeatureKey
from app.provider.types import ImagePart

Seen = list[tuple[PlacedImage, torch.Tensor]]
"""Pictures of a prompt with their input rows ``[tokens, hidden]``."""


@dataclass(slots=True)
class Look:
    """A picture that is being looked at for some jobs."""

    part: ImagePart
    size: ImageSize
    jobs: set[int] = field(default_factory=set)
    work: Pausable[torch.Tensor] | None = None


class Sight:
    """Looks at pictures with ``eyes``, one after the other; keeps ``memory`` bytes of them."""

    def __init__(self, eyes: Eyes, memory: int) -> None:
        self._eyes = eyes
        self._known: FeatureCache[torch.Tensor] = FeatureCache(memory)
        self._looks: dict[FeatureKey, Look] = {}

    @property
    def busy(self) -> bool:
        """Whether there is a picture to look at."""
        return any(look.work is None or not look.work.done for look in self._looks.values())

    def seen(self, job: int, prompt: PreparedPrompt, done: int) -> Seen | None:
        """The pictures that are not read after ``done`` tokens; None: not all are looked at.

        Raises UnsupportedInput when one of them cannot be read.
        """
        wanted = [image for image in prompt.images if image.end > done]
        found = [(image, self._rows(job, prompt.owner, image)) for image in wanted]
        seen = [(image, rows) for image, rows in found if rows is not None]
        if len(seen) < len(wanted):
            return None
        self.forget(job)
        return seen

    def work(self, seconds: float) -> None:
        """Go on looking, one piece at least and so long."""
        begun = time.perf_counter()
        for key, look in list(self._looks.items()):
            if look.work is None:
                look.work = Pausable(partial(self._eyes.look, look.part, look.size))
            while not look.work.done:
                if look.work.go_on():
                    self._keep(key, look.work)
                if time.perf_counter() - begun >= seconds:
                    return

    def forget(self, job: int) -> None:
        """The job needs no picture any more; what nobody needs is given up."""
        for key, look in list(self._looks.items()):
            look.jobs.discard(job)
            if not look.jobs:
                if look.work is not None:
                    look.work.abandon()
                del self._looks[key]

    def close(self) -> None:
        """Give up what is being looked at."""
        for job in {job for look in self._looks.values() for job in look.jobs}:
            self.forget(job)

    def _rows(self, job: int, owner: str, image: PlacedImage) -> torch.Tensor | None:
        key = FeatureKey.of(owner, image)
        if (known := self._known.get(key)) is not None:
            return known
        look = self._looks.setdefault(key, Look(image.part, image.size))
        look.jobs.add(job)
        return look.work.result() if look.work is not None and look.work.done else None

    def _keep(self, key: FeatureKey, work: Pausable[torch.Tensor]) -> None:
        if work.failed:
            return
        self._known.put(key, work.result().cpu())
