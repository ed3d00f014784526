"""A preset: a model with a system text or template, sampling options and bounds, under a name."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from msgspec import structs

from app.provider.types import Message, Prompt, Sampling

if TYPE_CHECKING:
    from app.provider.card import ModelCard

_DEFAULT = Sampling()


@dataclass(frozen=True, slots=True)
class Preset:
    """What the file ``path`` says of a preset of ``model``.

    ``system`` is its system text ("": none), ``sampling`` its options by name, ``description``
    a sentence for users. ``template`` names its prompt template ("": none), whose variables get
    the values of ``variables``. A prompt and its answer take ``context_length`` tokens at most (0:
    as many as the model takes).
    """

    model: ModelCard
    path: Path
    system: str = ""
    sampling: tuple[tuple[str, Any], ...] = ()
    description: str = ""
    template: str = ""
    variables: tuple[tuple[str, str | int | float | bool], ...] = ()
    context_length: int = 0

    def sets(self, option: str) -> bool:
        """Whether it has a value for this sampling option."""
        return any(name == option for name, _ in self.sampling)

    def apply(self, prompt: Prompt) -> Prompt:
        """The prompt with everything that the request did not set itself.

        A system or developer message of the request takes the place of the system text. A raw
        prompt has no place for one. A template has been put around the question before.
        """
        sampling, length = self._sampling(prompt.sampling), self.context_length
        prompt = structs.replace(prompt, sampling=sampling, context_length=length)
        if not self.system or prompt.raw or any(m.instructs for m in prompt.messages):
            return prompt
        return structs.replace(
            prompt, messages=(Message.of("system", self.system), *prompt.messages)
        )

    def _sampling(self, given: Sampling) -> Sampling:
        options = {
            name: value
            for name, value in self.sampling
            if name not in given.explicit and getattr(given, name) == getattr(_DEFAULT, name)
        }
        return structs.replace(given, **options)
