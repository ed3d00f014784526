"""Reads from an .onnx file which weights its graph has and which files hold them.

File sizes alone would not do. Against the size of the files, the RAM of the weights is 1.3 times as
much for float32, 1.4 for 4 bits and up to 2.7 where input and output share a table, and less than 1
where a large table stays in the file. The card's parameters, its bits and the check that every file
of weights is there come from the graph as well.

Field numbers: https://github.com/onnx/onnx/blob/main/onnx/onnx.proto
"""

from __future__ import annotations

import math
import os
import struct
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

from app.provider.headers.fields import sensible
from app.provider.headers.files import open_regular
from app.provider.headers.protobuf import Field, Reader

_GRAPH, _OPSETS = 7, 8
_NODE, _INITIALIZER, _INPUTS, _OUTPUTS = 1, 5, 11, 12
_VALUE_NAME = 1
_INPUT, _OPERATOR, _ATTRIBUTE = 1, 4, 5
_ATTRIBUTE_NAME, _ATTRIBUTE_INTEGER = 1, 3
_DIMENSIONS, _TYPE, _FLOAT_DATA, _NAME, _RAW_DATA, _EXTERNAL = 1, 2, 4, 8, 9, 13
_KEY, _VALUE = 1, 2

_FLOAT = struct.Struct("<f")
_FLOATS = {1: "F32", 10: "F16", 11: "F64", 16: "BF16"}
_PACKED = {2: 8, 3: 8, 17: 8, 18: 8, 19: 8, 20: 8, 21: 4, 22: 4}
"""Types of TensorProto that hold quantised weights → bits of one."""

_QUANTIZED = {"MatMulNBits": 1, "GatherBlockQuantized": 0, "DequantizeLinear": 0}
"""Operators that read quantised weights → which of their inputs those are; others unpack them."""

_TABLES = ("cos_cache", "sin_cache")
"""Constants of the rotary embedding, which do not count as weights."""


@dataclass(slots=True)
class Tensor:
    """An initializer: its name, type and shape, and the location of external data.

    ``number`` is its content if that is one float32 number.
    """

    name: str = ""
    kind: int = 0
    shape: list[int] = field(default_factory=list)
    external: dict[str, str] = field(default_factory=dict)
    number: float | None = None


@dataclass(slots=True)
class Node:
    """An operator with its inputs and its integer attributes."""

    operator: str = ""
    inputs: list[str] = field(default_factory=list)
    attributes: dict[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Graph:
    """The initializers, the nodes that read quantised ones, and what goes in and comes out."""

    tensors: list[Tensor]
    nodes: list[Node]
    inputs: list[str] = field(default_factory=list)
    outputs: list[str] = field(default_factory=list)

    def external_bytes(self) -> dict[str, int]:
        """Least size of each external file; raises ValueError where it makes no sense."""
        lengths: dict[str, int] = {}
        for tensor in self.tensors:
            if location := tensor.external.get("location"):
                entry = tensor.external
                end = int(entry.get("offset", "0")) + int(entry.get("length", "0"))
                lengths[location] = max(end, lengths.get(location, 0))
        return lengths

    def parameters(self) -> int:
        """Count the weights before packing."""
        packed, helpers = self._quantized()
        counted = [t for t in self.tensors if t.name not in helpers and t.name not in _TABLES]
        return sensible(sum(_numbers(tensor, packed.get(tensor.name)) for tensor in counted))

    def quantization(self) -> str:
        """Bits of the quantised weights, else the type of most weights."""
        packed, _ = self._quantized()
        kinds = {t.name: t.kind for t in self.tensors}
        bits = {_bits(node, kinds.get(name, 0)) for name, node in packed.items() if name in kinds}
        if bits:
            return f"{min(bits)}-bit"
        weights = [one for one in self.tensors if one.kind in _FLOATS or one.kind in _PACKED]
        largest = max(weights, key=lambda tensor: math.prod(tensor.shape), default=Tensor())
        packed_bits = _PACKED.get(largest.kind)  # of operators that multiply integers
        return f"{packed_bits}-bit" if packed_bits else _FLOATS.get(largest.kind, "")

    def _quantized(self) -> tuple[dict[str, Node], set[str]]:
        """Nodes by the quantised weights they read, and the tensors that are needed to unpack."""
        packed: dict[str, Node] = {}
        helpers: set[str] = set()
        for node in self.nodes:
            place = _QUANTIZED[node.operator]
            if place < len(node.inputs):
                packed[node.inputs[place]] = node
                helpers.update(node.inputs[place + 1 :])
        return packed, helpers - packed.keys()


def read_graph(path: Path) -> Graph:
    """Read a file; raises OSError, and ValueError when it is cut off or no ONNX model."""
    with open_regular(path) as file:
        reader = Reader(file, os.fstat(file.fileno()).st_size)
        fields = {found.number: found for found in reader.fields(0, reader.size)}
        if not {_GRAPH, _OPSETS} <= fields.keys():
            raise ValueError("no whole model")
        return _graph(reader, fields[_GRAPH])


def _graph(reader: Reader, graph: Field) -> Graph:
    tensors: list[Tensor] = []
    nodes: list[Node] = []
    ends: dict[int, list[str]] = {_INPUTS: [], _OUTPUTS: []}
    for found in reader.fields(graph.start, graph.end):
        if found.number == _INITIALIZER:
            tensors.append(_tensor(reader, found))
        elif found.number == _NODE:
            node = _node(reader, found)
            nodes += [node] if node.operator in _QUANTIZED else []
        elif found.number in ends:
            ends[found.number] += _named(reader, found)
    weights = {tensor.name for tensor in tensors}  # older files list these as inputs as well
    inputs = [name for name in ends[_INPUTS] if name not in weights]
    return Graph(tensors, nodes, inputs, ends[_OUTPUTS])


def _named(reader: Reader, message: Field) -> list[str]:
    """The name of an input or output."""
    fields = _parts(reader, message)
    return [reader.text(found) for found in fields if found.number == _VALUE_NAME]


def _tensor(reader: Reader, message: Field) -> Tensor:
    tensor = Tensor()
    for found in reader.fields(message.start, message.end):
        if found.number == _DIMENSIONS and len(tensor.shape) < 8:
            tensor.shape += reader.integers(found)[:8]
        elif found.number == _TYPE:
            tensor.kind = found.value
        elif found.number in (_FLOAT_DATA, _RAW_DATA) and found.end - found.start == _FLOAT.size:
            tensor.number = _FLOAT.unpack(reader.content(found))[0]
        elif found.number == _NAME:
            tensor.name = reader.text(found)
        elif found.number == _EXTERNAL:
            entry = {part.number: reader.text(part) for part in _parts(reader, found)}
            tensor.external[entry.get(_KEY, "")] = entry.get(_VALUE, "")
    return tensor


def _node(reader: Reader, message: Field) -> Node:
    """Read a node. Attributes come last, so those of other operators are not read."""
    node = Node()
    for found in reader.fields(message.start, message.end):
        if found.number == _INPUT:
            node.inputs.append(reader.text(found))
        elif found.number == _OPERATOR:
            node.operator = reader.text(found)
        elif found.number == _ATTRIBUTE and node.operator in _QUANTIZED:
            parts = {part.number: part for part in _parts(reader, found)}
            if {_ATTRIBUTE_NAME, _ATTRIBUTE_INTEGER} <= parts.keys():
                name = reader.text(parts[_ATTRIBUTE_NAME])
                node.attributes[name] = parts[_ATTRIBUTE_INTEGER].value
    return node


def _parts(reader: Reader, message: Field) -> Iterable[Field]:
    return list(reader.fields(message.start, message.end))


def _bits(node: Node, kind: int) -> int:
    return node.attributes.get("bits") or _PACKED.get(kind, 4)


def _numbers(tensor: Tensor, reader: Node | None) -> int:
    """Weights that an initializer holds; ``reader`` is the node that unpacks it, if any."""
    here = math.prod(tensor.shape)
    if reader is None:
        return here if tensor.kind in _FLOATS or tensor.kind in _PACKED else 0
    attributes = reader.attributes
    if reader.operator == "MatMulNBits":
        return attributes.get("N", 0) * attributes.get("K", 0)
    return here * _PACKED.get(tensor.kind, 8) // (_bits(reader, tensor.kind) or 8)
