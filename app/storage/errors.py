"""What the database cannot do, and states that changed meanwhile."""

from __future__ import annotations

from app.errors import AppError


class StorageUnavailable(AppError):
    """The database cannot be reached or cannot take more."""

    retry_after = 5.0


class PreconditionFailed(AppError):
    """What If-Match names is not what is there; ``etag`` is, or nothing is there."""

    def __init__(self, etag: str | None) -> None:
        now = f"its ETag is {etag} now" if etag else "it is not there any more"
        super().__init__(f"This is not as it was when you read it, {now}: read it again.")
        self.etag = etag
