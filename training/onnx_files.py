"""Writes a network as an ONNX graph that holds float16 weights and computes in float32."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import onnx
import torch
from onnx import TensorProto, helper, numpy_helper

Axes = Mapping[int, str]
OPSET = 17


def write(
    network: torch.nn.Module,
    inputs: Mapping[str, torch.Tensor],
    outputs: Mapping[str, Axes],
    path: Path,
    axes: Mapping[str, Axes],
) -> None:
    """Trace a network with example inputs; ``axes`` and ``outputs`` name the sides that vary."""
    path.parent.mkdir(exist_ok=True)
    torch.onnx.export(
        network,
        tuple(inputs.values()),
        str(path),
        input_names=list(inputs),
        output_names=list(outputs),
        dynamic_axes={**axes, **outputs},
        opset_version=OPSET,
        dynamo=False,
    )
    graph = onnx.load(path)
    halve(graph)
    onnx.checker.check_model(graph, full_check=True)
    onnx.save(graph, path)


def halve(model: onnx.ModelProto) -> None:
    """Keep the weights as float16, which they are exactly, and cast them where they are used.

    onnxruntime casts them once, when it loads the graph.
    """
    casts = []
    for weight in model.graph.initializer:
        values = numpy_helper.to_array(weight)
        if weight.data_type == TensorProto.FLOAT and _is_half(values):
            name, stored = weight.name, f"{weight.name}.f16"
            weight.CopyFrom(numpy_helper.from_array(values.astype(np.float16), stored))
            casts.append(helper.make_node("Cast", [stored], [name], to=TensorProto.FLOAT))
    for at, cast in enumerate(casts):
        model.graph.node.insert(at, cast)


def _is_half(values: np.ndarray) -> bool:
    """Whether an array is worth halving and loses nothing by it."""
    with np.errstate(over="ignore"):
        return values.size > 64 and np.array_equal(values.astype(np.float16), values)
