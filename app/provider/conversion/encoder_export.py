"""``python -m app.provider.conversion.encoder_export SOURCE TARGET BITS``: an encoder to ONNX.

It runs in a process of its own, because the weights of a model stay in memory until that ends.
``BITS`` 0 leaves the weights unquantised, 8 packs them into integers. The graphs are computed
beside the model in PyTorch before it says that all is well. When the model cannot be converted, it
prints one sentence to the standard error and exits with status 1.
"""

from __future__ import annotations

import importlib
import shutil
import sys
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import onnx
import torch

from app.provider.conversion.encoder_graphs import GraphPlan, Traced, graph_plans
from app.provider.conversion.encoder_parity import check_parity
from app.provider.conversion.encoder_settings import copy_settings, write_json
from app.provider.encoding.folders.folder import CONFIG, read_encoder_settings
from app.provider.encoding.folders.settings import EncoderSettings
from app.provider.engine import EngineLimits
from app.provider.engines.pytorch.encoder.loading import load_model
from app.provider.errors import ModelNotLoadable
from app.provider.headers.files import optional_json

OPSET = 17
LIMITS = EngineLimits(torch_dtype="float32")
_LARGEST_FILE = 1_900_000_000
"""Bytes of a graph with its weights; protobuf can hold 2 GiB."""


def export(source: Path, target: Path, bits: int = 0) -> None:
    """Write ``target``, a new folder; raises ModelNotLoadable."""
    settings = read_encoder_settings(source)
    _write_graphs(settings, target, bits)
    check_parity(settings, target, bits)


def _write_graphs(settings: EncoderSettings, target: Path, bits: int) -> None:
    model = load_model(settings, LIMITS)
    model.set_attn_implementation("eager")  # the others make slower graphs, or none
    plans = graph_plans(model, settings)
    copy_settings(settings, target)
    _state_scale(model, target / settings.folder.relative_to(settings.root) / CONFIG)
    for plan in plans:
        _write(model, plan, target / "onnx", bits)


def _state_scale(model: Any, path: Path) -> None:
    """Write what cosines are multiplied with, which is one of the weights, into config.json."""
    names = [name for name in ("logit_scale", "logit_bias") if hasattr(model, name)]
    if names:
        write_json(
            path, optional_json(path) | {name: float(getattr(model, name)) for name in names}
        )


def _write(model: Any, plan: GraphPlan, folder: Path, bits: int) -> None:
    """Write one graph; a large one has its weights in a file beside it."""
    draft = folder / ".draft"
    draft.mkdir(parents=True)
    exported = draft / "model.onnx"
    _trace(model, plan, exported)
    if bits:
        _quantize(exported, folder / f"{plan.name}_quantized.onnx")
    else:
        _save(onnx.load(str(exported)), folder / f"{plan.name}.onnx")
    shutil.rmtree(draft)


def _trace(model: Any, plan: GraphPlan, path: Path) -> None:
    with warnings.catch_warnings(), torch.inference_mode():
        warnings.simplefilter("ignore")
        torch.onnx.export(
            Traced(model, plan),
            tuple(plan.example.values()),
            str(path),
            input_names=list(plan.example),
            output_names=[plan.output],
            dynamic_axes=_axes(plan),
            opset_version=OPSET,
            dynamo=False,
        )


def _axes(plan: GraphPlan) -> dict[str, dict[int, str]]:
    axes = dict.fromkeys(plan.example, plan.axes)
    tokens = plan.output == "last_hidden_state"
    return {**axes, plan.output: plan.axes if tokens else {0: plan.axes[0]}}


def _save(model: onnx.ModelProto, path: Path) -> None:
    if model.ByteSize() <= _LARGEST_FILE:
        onnx.save_model(model, str(path))
        return
    onnx.save_model(
        model,
        str(path),
        save_as_external_data=True,
        all_tensors_to_one_file=True,
        location=f"{path.name}_data",
    )


def _quantize(source: Path, target: Path) -> None:
    """Pack the weights; seven bits, because sums of eight overflow on CPUs without VNNI."""
    library = importlib.import_module("onnxruntime.quantization")
    library.quantize_dynamic(
        str(source),
        str(target),
        per_channel=True,
        reduce_range=True,
        weight_type=library.QuantType.QInt8,
    )


def main(arguments: Sequence[str]) -> None:
    """Convert what the arguments name."""
    source, target, bits = arguments
    try:
        export(Path(source), Path(target), int(bits))
    except ModelNotLoadable as error:
        sys.exit(str(error))


if __name__ == "__main__":
    main(sys.argv[1:])
