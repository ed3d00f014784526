"""What is done with a model's chat template, found out without loading its weights."""

from __future__ import annotations

import importlib.util
import subprocess
import sys

from app.provider.card import ModelCard
from app.provider.engine import ENGINES

_SECONDS = 60


def template_report(card: ModelCard) -> str:
    """Which chat template is used, and what is done so that it shows every message whole.

    Empty for a model that does not chat or has a problem, and for an engine without templates.
    """
    if card.problem or "chat" not in card.tasks:
        return ""
    package = ENGINES[card.engine]
    if importlib.util.find_spec(f"{package}.inspection") is None:
        return ""
    command = [sys.executable, "-m", "app.provider.generation.inspect", package, str(card.path)]
    try:
        done = subprocess.run(command, capture_output=True, timeout=_SECONDS, check=True)
    except subprocess.SubprocessError:
        return "It is not known: the library that reads the model's files crashed."
    return done.stdout.decode().strip()
