"""A preset: a model with a system text and sampling options, under a name of its own."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from msgspec import structs

from app.provider.types import Message, Prompt, Sampling

_DEFAULT = Sampling()
_INSTRUCTIONS = frozenset({"system", "developer"})


@dataclass(frozen=True, slots=True)
class Preset:
    """What the file ``path`` says of a preset of the model with the id ``model``.

    ``system`` is its system text ("": none), ``sampling`` its options by name, ``description``
    a sentence for users.
    """

    model: str
    path: Path
    system: str = ""
    sampling: tuple[tuple[str, Any], ...] = ()
    description: str = ""

    def sets(self, option: str) -> bool:
        """Whether it has a value for this sampling option."""
        return any(name == option for name, _ in self.sampling)

    def apply(self, prompt: Prompt) -> Prompt:
        """The prompt with everything that the request did not set itself.

        A system or developer message of the request takes the place of the system text. A raw
        prompt has no place for one, so it gets the sampling options alone.
        """
        sampling = self._sampling(prompt.sampling)
        if not self.system or prompt.raw or any(m.role in _INSTRUCTIONS for m in prompt.messages):
            return structs.replace(prompt, sampling=sampling)
        messages = (Message.of("system", self.system), *prompt.messages)
        return structs.replace(prompt, messages=messages, sampling=sampling)

    def _sampling(self, given: Sampling) -> Sampling:
        options = {
            name: value
            for name, value in self.sampling
            if name not in given.explicit and getattr(given, name) == getattr(_DEFAULT, name)
        }
        return structs.replace(given, **options)
