"""What can go wrong with downloads, beside what the hub says.

Errors cross a process border, so each one rebuilds itself from its positional arguments.
"""

from __future__ import annotations

from app.errors import AppError


class PullNotAllowed(AppError):
    """Clients of this server may not download models."""


class PullNotFound(AppError):
    """No download has that id."""

    def __init__(self, job: str) -> None:
        super().__init__(job)
        self.job = job

    def __str__(self) -> str:
        return f"There is no download {self.job[:100]!r}."


class TooManyPulls(AppError):
    """As many downloads run and wait as there can be."""

    retry_after = 60.0

    def __init__(self, most: int) -> None:
        super().__init__(most)
        self.most = most

    def __str__(self) -> str:
        return f"{self.most} downloads run or wait: wait for one of them, or cancel one."
