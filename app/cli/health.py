"""Which server runs, and what it says of its health."""

from __future__ import annotations

import json
import urllib.request
from http.client import HTTPResponse
from typing import Any
from urllib.error import HTTPError

from app.cli.server_address import Address, named, of_settings
from app.config import Settings

TIMEOUT = 10
"""Seconds."""


def health_of(address: str) -> dict[str, Any] | None:
    """The answer to ``/health`` at an http address, also of an ill server.

    None where no server of this project answers.
    """
    try:
        with _answer(f"{address}/health") as answer:
            found = json.load(answer)
    except (OSError, ValueError):
        return None
    return found if isinstance(found, dict) and "models" in found else None


def running_server(settings: Settings) -> Address | None:
    """The server that the environment names, or that answers here; None where none does."""
    if found := named():
        return found
    here = of_settings(settings)
    return here if health_of(here.url) else None


def _answer(address: str) -> HTTPResponse | HTTPError:
    try:
        response: HTTPResponse = urllib.request.urlopen(address, timeout=TIMEOUT)  # noqa: S310
    except HTTPError as error:  # 503 has the same body
        return error
    return response
