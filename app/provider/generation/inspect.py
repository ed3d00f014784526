"""``python -m app.provider.generation.inspect PACKAGE PATH``: how a chat template is used.

It runs in a process of its own, because a library may crash on a foreign file. ``PACKAGE`` is an
engine's, with a module ``inspection``.
"""

from __future__ import annotations

import importlib
import logging
import sys
from collections.abc import Callable
from pathlib import Path
from typing import cast

from app.provider.errors import ProviderError
from app.provider.generation.chat_template import ChatTemplate
from app.provider.generation.model_tokenizer import ModelTokenizer


def main(package: str, path: Path) -> None:
    """Print the sentences that the model's engine would log while it loads."""
    logging.disable(logging.CRITICAL)
    open_vocabulary = importlib.import_module(f"{package}.inspection").open_vocabulary
    try:
        chat = ChatTemplate(cast("Callable[[Path], ModelTokenizer]", open_vocabulary)(path))
        notes = [*(chat.notes or ["It takes messages as they are."]), *chat.tool_notes]
    except ProviderError as error:
        notes = [str(error)]
    print(*notes)  # noqa: T201


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]))
