"""A model whose arithmetic breaks down says so; it does not answer with noise."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from gguf import GGUFReader

from app.provider.engine import ENGINES, EngineLimits, EngineSpec, load, missing_library
from app.provider.errors import ModelNotLoadable, ProviderError
from tests.provider.asking import STARTERS, ask, host_of

NORM = "model.norm.weight"


def broken_gguf(source: Path, target: Path) -> None:
    shutil.copy(source, target)
    reader = GGUFReader(target, "r+")
    (norm,) = [tensor for tensor in reader.tensors if tensor.name == "output_norm.weight"]
    norm.data[:] = np.nan
    reader.data.flush()


def broken_safetensors(source: Path, target: Path) -> None:
    shutil.copytree(source, target)
    start, end = norm_of(source)
    weights = bytearray((target / "model.safetensors").read_bytes())
    weights[start:end] = np.full((end - start) // 2, np.nan, np.float16).tobytes()
    (target / "model.safetensors").write_bytes(weights)


def broken_onnx(source: Path, target: Path) -> None:
    shutil.copytree(source, target)
    start, end = norm_of(STARTERS["pytorch"])
    kept = (STARTERS["pytorch"] / "model.safetensors").read_bytes()[start:end]
    norm = np.frombuffer(kept, np.float16).astype(np.float32)
    data = (target / "model.onnx.data").read_bytes()
    assert data.count(norm.tobytes()) == 1
    data = data.replace(norm.tobytes(), np.full_like(norm, np.nan).tobytes())
    (target / "model.onnx.data").write_bytes(data)


def norm_of(folder: Path) -> tuple[int, int]:
    """Where the last norm's float16 numbers lie in the file of weights."""
    raw = (folder / "model.safetensors").read_bytes()
    size = int.from_bytes(raw[:8], "little")
    start, end = json.loads(raw[8 : 8 + size])[NORM]["data_offsets"]
    return 8 + size + start, 8 + size + end


BROKEN: dict[str, Callable[[Path, Path], None]] = {
    "gguf": broken_gguf,
    "onnx": broken_onnx,
    "mlx": broken_safetensors,
}


@pytest.mark.parametrize("engine", BROKEN)
async def test_no_answer_is_made_of_nan(engine: str, tmp_path: Path) -> None:
    if library := missing_library(engine):
        pytest.skip(f"{engine}: {library} is not installed")
    source = STARTERS[engine]
    BROKEN[engine](source, tmp_path / source.name)
    host = host_of(engine, path=tmp_path / source.name)
    try:
        for temperature in (0.0, 0.8):
            with pytest.raises(ProviderError, match="NaN"):
                await ask(host, "What are you?", temperature=temperature)
        assert host.status().state == "ready"
        assert host.status().restarts == 0
    finally:
        await host.stop()


@pytest.mark.engine("pytorch")
def test_pytorch_does_not_even_load_such_a_model(tmp_path: Path) -> None:
    """Loaded in this process, which has PyTorch already: one of its own takes seconds to start."""
    if library := missing_library("pytorch"):
        pytest.skip(f"{library} is not installed")
    broken_safetensors(STARTERS["pytorch"], tmp_path / "broken")
    spec = EngineSpec(ENGINES["pytorch"], str(tmp_path / "broken"), EngineLimits())
    with pytest.raises(ModelNotLoadable, match="NaN"):
        load(spec, lambda _: None)
