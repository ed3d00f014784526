"""The ONNX graphs of the tiny encoders, which name the weights of their checkpoints.

``python -m tests.encoders.onnx_graphs [FAMILY …]`` makes them anew with the product's converter,
which needs PyTorch, transformers and onnx. A graph is stored without weights: they are the tensors
of the checkpoint's model.safetensors, which lies beside the graph under another name.
"""

from __future__ import annotations

import gzip
import importlib
import sys
import tempfile
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from tests.encoders.checkpoints import FAMILIES, HERE, write_checkpoint

GRAPHS = HERE / "graphs"
DATA = "model.onnx_data"
LEFT_OUT = ("siglip2-naflex",)
"""Their images have changing sizes, of which the converter makes no graph."""
AS_CONVERTED: dict[str, dict[str, Any]] = {
    "qwen3-reranker": {
        "architectures": ["Qwen3ForSequenceClassification"],
        "id2label": {"0": "LABEL_0"},
    }
}
"""What the converter writes into config.json: the graph gives one score, no words."""
MOST_STORED = 256
"""Numbers of a constant that is in no checkpoint."""


class Place(NamedTuple):
    """Bytes of a file; ``turned``: the matrix is transposed there."""

    offset: int
    length: int
    turned: bool = False


def write_onnx_folder(name: str, folder: Path, *, place: str = "onnx") -> Path:
    """Write the folder of a family with graphs in ``place`` in place of safetensors."""
    write_checkpoint(name, folder, **AS_CONVERTED.get(name, {}))
    (folder / place).mkdir(exist_ok=True)
    (folder / "model.safetensors").rename(folder / place / DATA)
    for stored in GRAPHS.glob(f"{name}.*.onnx.gz"):
        graph = folder / place / f"{stored.name.split('.')[1]}.onnx"
        graph.write_bytes(gzip.decompress(stored.read_bytes()))
    return folder


def main(names: list[str]) -> None:
    GRAPHS.mkdir(exist_ok=True)
    for name in names or [one for one in FAMILIES if one not in LEFT_OUT]:
        with tempfile.TemporaryDirectory() as folder:
            source, target = Path(folder) / name, Path(folder) / "made"
            write_checkpoint(name, source)
            export: Any = importlib.import_module("app.provider.conversion.encoder_export")
            export.export(source, target)
            places = _places(source / "model.safetensors")
            for graph in (target / "onnx").glob("*.onnx"):
                _store(graph, GRAPHS / f"{name}.{graph.stem}.onnx.gz", places)


def _places(weights: Path) -> dict[bytes, Place]:
    """Where the bytes of each tensor are in the file, by these bytes and by those transposed."""
    safetensors: Any = importlib.import_module("app.provider.headers.safetensors")
    header, start = safetensors.read_header(weights)
    content, found = weights.read_bytes(), dict[bytes, Place]()
    for name, entry in header.items():
        if name == "__metadata__" or entry["dtype"] != "F32":
            continue
        begin, end = (start + offset for offset in entry["data_offsets"])
        found[content[begin:end]] = Place(begin, end - begin)
        if len(entry["shape"]) == 2:
            turned = np.frombuffer(content[begin:end], np.float32).reshape(entry["shape"]).T
            found.setdefault(turned.tobytes(), Place(begin, end - begin, turned=True))
    return found


def _store(graph: Path, target: Path, places: dict[bytes, Place]) -> None:
    onnx: Any = importlib.import_module("onnx")
    model = onnx.load(str(graph))
    for tensor in model.graph.initializer:
        content = onnx.numpy_helper.to_array(tensor)
        place = places.get(content.tobytes())
        if place and place.turned:
            node = onnx.helper.make_node("Transpose", [f"{tensor.name}.T"], [tensor.name])
            model.graph.node.insert(0, node)
            tensor.name += ".T"
            tensor.dims[:] = content.shape[::-1]
        if place:
            _refer(onnx, tensor, place)
        elif content.size > MOST_STORED:
            print(target.name, tensor.name, content.shape, "is stored")  # noqa: T201
    target.write_bytes(gzip.compress(model.SerializeToString(), mtime=0))


def _refer(onnx: Any, tensor: Any, place: Place) -> None:
    tensor.ClearField("raw_data")
    tensor.data_location = onnx.TensorProto.EXTERNAL
    values = DATA, place.offset, place.length
    for key, value in zip(("location", "offset", "length"), values, strict=True):
        entry = tensor.external_data.add()
        entry.key, entry.value = key, str(value)


if __name__ == "__main__":
    main(sys.argv[1:])
