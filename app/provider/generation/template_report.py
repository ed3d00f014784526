"""What is done with a model's chat template, found out without loading its weights."""

from __future__ import annotations

import subprocess
import sys

from app.provider.card import ModelCard

_SECONDS = 60


def template_report(card: ModelCard) -> str:
    """Which chat template is used, and what is done so that it shows everything.

    Empty for what does not chat or cannot be loaded for another reason. It is found out in a
    process of its own, since a library may crash on a foreign file.
    """
    if card.problem or "chat" not in card.tasks or card.engine == "echo":
        return ""
    command = [sys.executable, "-m", "app.provider.generation.inspect", card.engine, str(card.path)]
    try:
        done = subprocess.run(command, capture_output=True, timeout=_SECONDS, check=True)
    except subprocess.SubprocessError:
        return "It is not known: the library that reads the model's files crashed."
    return done.stdout.decode().strip()
