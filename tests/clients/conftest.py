"""The server that clients of others talk to: the starters, and a model that thinks and calls."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.conftest import ONE_THREAD, link_models, serving
from tests.provider.scripted import CONTROL, make
from tests.provider.scripted_answer import script_of

STARTERS = (
    "starter.gguf",
    "starter-vision.gguf",
    "mmproj-starter-vision.gguf",
    "starter-embed",
    "starter-clip",
)

CALLING = (
    "<think>\nThey ask for the weather.\n</think>\n\nLet me look.\n"
    '<tool_call>\n{"name": "get_weather", "arguments": {"city": "Seoul"}}\n</tool_call>'
)
"""What the model named caller answers to everything."""
TEMPLATE = (
    "{% if tools %}<|im_start|>system\n<tools>{{ tools | tojson }}</tools>"
    "Answer <tool_call></tool_call>.<|im_end|>\n{% endif %}"
    "{% for m in messages %}<|im_start|>{{ m.role }}\n{{ m.content }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
END = "<|im_end|>"


@pytest.fixture(scope="session")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of models that are loaded in no time."""
    folder = tmp_path_factory.mktemp("models")
    link_models(folder, *STARTERS)
    script = script_of(CALLING)
    make(folder / "caller.gguf", TEMPLATE, script.tokens, CONTROL, normal=script.normal, eos=END)
    return folder


@pytest.fixture(scope="session")
def address(models: Path) -> Iterator[str]:
    """Where the server is, without a path; leave it as it was."""
    with serving(models_dir=models, engine_threads=ONE_THREAD) as client:
        yield str(client.base_url).rstrip("/")
