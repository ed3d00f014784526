"""Presets as tests declare and ask them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import httpx


def declare(folder: Path, name: str, **fields: Any) -> None:
    """Write the file of a preset."""
    (folder / f"{name}.preset.json").write_text(json.dumps(fields))


def posted(client: httpx.Client, route: str, **body: Any) -> dict[str, Any]:
    """What a request is answered that succeeds."""
    answer = client.post(route, json=body)
    assert answer.is_success, answer.text
    found: dict[str, Any] = answer.json()
    return found


def refused(client: httpx.Client, route: str, status: int, **body: Any) -> str:
    """The text of the answer to a request that is refused."""
    answer = client.post(route, json=body)
    assert answer.status_code == status, answer.text
    return answer.text
