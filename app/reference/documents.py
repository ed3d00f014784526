"""OpenAPI documents by the name of their version, made when they are asked for."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

Documents = Mapping[str, Callable[[], dict[str, Any]]]
"""The oldest version first; making one takes tenths of a second."""
