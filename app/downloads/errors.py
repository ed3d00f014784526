"""What can go wrong with downloads, beside what the hub says."""

from __future__ import annotations

from app.errors import AppError


class PullNotAllowed(AppError):
    """Clients of this server may not download models."""


class PullNotFound(AppError):
    """No download has that id."""

    def __init__(self, job: str) -> None:
        super().__init__(f"There is no download {job[:100]!r}.")
        self.job = job


class TooManyPulls(AppError):
    """As many downloads run and wait as there can be."""

    retry_after = 60.0

    def __init__(self, most: int) -> None:
        super().__init__(f"{most} downloads run or wait: wait for one of them, or cancel one.")
        self.most = most
