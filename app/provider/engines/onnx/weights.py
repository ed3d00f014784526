"""Predicts the bytes that the weights of a graph take in RAM, which differ from the file's."""

from __future__ import annotations

import math

from app.provider.card import ModelCard
from app.provider.headers.onnx_graph import Graph, read_graph

_BYTES = {1: 4, 2: 1, 3: 1, 10: 2, 11: 8, 16: 2}
"""Type of a tensor (TensorProto.DataType) → bytes of a number."""

_LINEAR = "MatMulNBits"


def weight_bytes(card: ModelCard) -> int:
    """Bytes of all weights, as onnxruntime rearranges them for the CPU.

    Tables from which only rows are read stay in the file, so that the system can drop them at any
    time; they are not counted.
    """
    try:
        graphs = [read_graph(path) for path in sorted(card.path.glob("*.onnx"))]
    except (OSError, ValueError):
        return card.size_bytes
    return sum(_of_graph(graph, card) for graph in graphs)


def _of_graph(graph: Graph, card: ModelCard) -> int:
    sizes = {
        tensor.name: math.prod(tensor.shape) * _BYTES.get(tensor.kind, 1)
        for tensor in graph.tensors
    }
    packed = {node.inputs[1]: node for node in graph.nodes if node.operator == _LINEAR}
    scales = {name for node in graph.nodes for name in node.inputs[2:]}
    tables = _tables(graph, card)
    plain = sum(size for name, size in sizes.items() if name not in {*packed, *scales, *tables})
    # onnxruntime keeps scales beside packed weights, and block sums of the same size as the scales.
    helpers = sum(3 * sizes.get(name, 0) for node in packed.values() for name in node.inputs[2:])
    return plain + sum(sizes.get(name, 0) for name in packed) + helpers + _shared_table(graph, card)


def _tables(graph: Graph, card: ModelCard) -> set[str]:
    """Names of tensors that are only embeddings: one row for each word of the vocabulary."""
    rows = [
        t for t in graph.tensors if t.shape[:1] == [card.shape.vocabulary] and len(t.shape) == 2
    ]
    return {tensor.name for tensor in rows if "embed" in tensor.name}


def _shared_table(graph: Graph, card: ModelCard) -> int:
    """Bytes of the copy made when embedding and output head share one matrix."""
    words, hidden = card.shape.vocabulary, card.shape.hidden
    if _tables(graph, card):
        return 0
    bits = [n.attributes.get("bits", 4) for n in graph.nodes if n.operator != _LINEAR]
    return words * hidden * (bits[0] if bits else 32) // 8
