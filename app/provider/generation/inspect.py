"""``python -m app.provider.generation.inspect ENGINE PATH``: what becomes of a chat template."""

from __future__ import annotations

import logging
import sys
from pathlib import Path

from app.provider.architectures.hyperclovax.config import MODEL_TYPE
from app.provider.architectures.hyperclovax.conversation import TEMPLATE
from app.provider.errors import ProviderError
from app.provider.generation.chat_template import Chat
from app.provider.generation.tokenizer import HubVocabulary
from app.provider.generation.vocabulary import Vocabulary
from app.provider.headers.files import optional_json


def main(engine: str, path: Path) -> None:
    """Print the sentences that the model's engine would note while it loads."""
    logging.disable(logging.CRITICAL)
    try:
        notes = Chat(_vocabulary(engine, path)).notes
    except ProviderError as error:
        notes = [str(error)]
    print(*notes or ["It takes messages as they are."])  # noqa: T201


def _vocabulary(engine: str, path: Path) -> Vocabulary:
    """What the engine would open; raises ModelNotLoadable."""
    if engine == "gguf":
        from app.provider.engines.gguf.model import open_vocabulary  # noqa: PLC0415 folders do not need it

        return open_vocabulary(str(path))
    vocabulary = HubVocabulary(path)
    kind = optional_json(path / "config.json").get("model_type")
    if kind == MODEL_TYPE and not vocabulary.chat_templates:
        vocabulary.chat_templates = {"default": TEMPLATE}
    return vocabulary


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]))
