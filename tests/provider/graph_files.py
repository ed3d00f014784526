"""Writes ONNX graphs by hand, without the onnx package."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from tests.provider.model_files import message

FLOAT, INT8, INT32, INT64 = 1, 3, 6, 7
_KINDS = {"f": FLOAT, "i": INT64}


@dataclass
class GraphWriter:
    """A GraphProto being written."""

    parts: list[tuple[int, bytes]] = field(default_factory=list)

    def node(self, operator: str, inputs: str, output: str, **numbers: int) -> None:
        names = [(1, name) for name in inputs.split()]
        facts = [(5, message((1, key), (3, n), (20, 2))) for key, n in numbers.items()]
        self.parts.append((1, message(*names, (2, output), (4, operator), *facts)))

    def nodes(self, lines: str) -> None:
        """Lines of ``output;operator;inputs;attributes``."""
        for line in lines.strip().splitlines():
            output, operator, inputs, *numbers = line.split(";")
            facts = {key: int(n) for key, _, n in (pair.partition("=") for pair in numbers)}
            self.node(operator, inputs, output, **facts)

    def constants(self, named: Mapping[str, Any]) -> None:
        for name, values in named.items():
            array = np.asarray(values)
            sizes = [(1, size) for size in array.shape]
            kind = INT8 if array.dtype == np.int8 else _KINDS[array.dtype.kind]
            self.parts.append((5, message(*sizes, (2, kind), (8, name), (9, array.tobytes()))))

    def reads(self, name: str, kind: int, *shape: str | int) -> None:
        self._border(11, name, kind, shape)

    def gives(self, name: str, kind: int, *shape: str | int) -> None:
        self._border(12, name, kind, shape)

    def model(self, name: str) -> bytes:
        """The whole file."""
        opset = (8, message((1, ""), (2, 17)))
        return message((1, 8), (7, message(*self.parts, (2, name))), opset)

    def _border(self, place: int, name: str, kind: int, shape: tuple[str | int, ...]) -> None:
        sizes = [(1, message((1 if isinstance(n, int) else 2, n))) for n in shape]
        tensor = message((1, kind), (2, message(*sizes)))
        self.parts.append((place, message((1, name), (2, message((1, tensor))))))
