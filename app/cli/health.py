"""What a server says of its health."""

from __future__ import annotations

import json
import urllib.request
from typing import Any
from urllib.error import HTTPError


def health_of(address: str, timeout: float = 10) -> dict[str, Any] | None:
    """The answer to ``/health`` at an http address, also of an ill server; None where none answers.

    ``timeout`` is in seconds.
    """
    try:
        with urllib.request.urlopen(f"{address}/health", timeout=timeout) as answer:  # noqa: S310
            return dict(json.load(answer))
    except HTTPError as error:  # 503 has the same body
        return dict(json.load(error))
    except (OSError, ValueError):
        return None
