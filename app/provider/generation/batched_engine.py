"""An engine made of a prompt builder, a runner and a scheduler: what all batching engines share."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, Generic

from app.provider.engine import EngineInfo, Events
from app.provider.generation.constraints.grammar import check_caps
from app.provider.generation.constraints.planner import GuidePlanner
from app.provider.generation.image_encoder import ImageEncoder
from app.provider.generation.prepared_prompt import PreparedPrompt
from app.provider.generation.prompt_builder import PromptBuilder
from app.provider.generation.runner import Runner, S
from app.provider.generation.scheduler import Scheduler
from app.provider.types import Prompt, Tokens


class BatchedEngine(Generic[S]):
    """Implements ``Engine`` on a runner. ``image_encoder`` is that of a model with images."""

    def __init__(
        self,
        runner: Runner[S],
        info: EngineInfo,
        default_max_tokens: int,
        prompts: PromptBuilder,
        image_encoder: ImageEncoder[Any] | None = None,
    ) -> None:
        self.info = replace(info, constrains=True)
        self._prompts = prompts
        self._guides = GuidePlanner(prompts.vocabulary, info.slots)
        self._runner = runner
        self._image_encoder = image_encoder
        self._scheduler = Scheduler(
            runner, info, default_max_tokens, prompts.vocabulary, image_encoder
        )

    def prepare(self, prompt: Prompt) -> Any:
        """Template and tokenise; raises ContextOverflow, UnsupportedInput.

        Returns a ``PreparedPrompt``, or a ``Deferred`` one whose grammar has to be compiled. A
        schema beyond the caps is refused first: as a part of the prompt it would be tokenised.
        """
        if prompt.constraint:
            check_caps(prompt.constraint)
        prepared = self._prompts.prepare(prompt, self.info.context_length)
        return self._guides.guided(prompt, prepared)

    def tokenize(self, prompt: Prompt, *, special: bool) -> Tokens:
        """The tokens of a prompt; raises UnsupportedInput."""
        return self._prompts.tokenize(prompt, special=special)

    def admit(self, job: int, prepared: PreparedPrompt) -> bool:
        """Take the job while a slot is free."""
        return self._scheduler.admit(job, prepared)

    def step(self) -> Events:
        """Advance every job once."""
        return self._scheduler.step()

    def drop(self, job: int) -> None:
        """Forget the job; what it computed stays reusable."""
        self._scheduler.drop(job)

    def set_threads(self, threads: int) -> None:
        """Use that many CPU threads from the next step on."""
        self._runner.set_threads(threads)

    def close(self) -> None:
        """Free everything."""
        if self._image_encoder:
            self._image_encoder.close()
        self._runner.close()
