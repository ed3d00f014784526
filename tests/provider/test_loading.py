"""Every engine refuses what it cannot load with one sentence, in a process that ends by itself."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from app.provider.engine import missing_library
from app.provider.errors import ModelNotLoadable
from tests.provider.asking import MODELS, STARTERS, ask, host_of
from tests.provider.genai_vision_files import write_vision_model
from tests.provider.paged_model import write_paged
from tests.provider.scripted import make
from tests.selection import matrix

pytestmark = pytest.mark.slow

BROKEN = "{% if %}"


def copied(source: Path) -> Callable[[Path], object]:
    return lambda folder: shutil.copytree(source, folder)


FOLDERS: dict[str, Callable[[Path], object]] = {
    "onnx": copied(STARTERS["onnx"]),
    "onnx-paged": write_paged,
    "onnx-vision": write_vision_model,
    "mlx": copied(STARTERS["mlx"]),
    "pytorch": copied(STARTERS["pytorch"]),
    "pytorch-hyperclovax": copied(MODELS / "starter-vision-hyperclovax"),
}

DAILY = [kind for kind in FOLDERS if not kind.startswith("pytorch")]
"""PyTorch reads templates like the others, and its process takes seconds to start."""


@pytest.mark.parametrize("kind", ["gguf", *DAILY, *matrix("pytorch", "pytorch-hyperclovax")])
async def test_a_chat_template_that_does_not_compile_is_a_refusal(
    tmp_path: Path, kind: str
) -> None:
    engine = kind.partition("-")[0]
    if library := missing_library(engine):
        pytest.skip(f"{engine}: {library} is not installed")
    path = tmp_path / "model"
    if kind == "gguf":
        make(path, template=BROKEN)
    else:
        FOLDERS[kind](path)
        (path / "chat_template.jinja").write_text(BROKEN)
    host = host_of(engine, path=path)
    async with asyncio.timeout(60):
        with pytest.raises(ModelNotLoadable, match="template") as refused:
            await ask(host, "hello")
    assert refused.value.lasting
    assert str(tmp_path) not in str(refused.value)
    assert (host.status().state, host.status().restarts) == ("failed", 0)
    await host.stop()
