"""What can go wrong with downloads, beside what the hub says."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

from app.errors import AppError


class PullNotAllowed(AppError):
    """Clients of this server may not download models."""


class PullNotFound(AppError):
    """No download has that id."""

    def __init__(self, job: str) -> None:
        super().__init__(f"There is no download {job[:100]!r}; GET /api/v5/models/pull lists them.")


class TooManyPulls(AppError):
    """As many downloads run and wait as there can be."""

    headers: ClassVar[Mapping[str, str]] = {"Retry-After": "60"}

    def __init__(self, most: int) -> None:
        super().__init__(f"{most} downloads run or wait: wait for one of them, or cancel one.")
