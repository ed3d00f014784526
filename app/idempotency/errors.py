"""Why a request with an idempotency key is not answered."""

from __future__ import annotations

from app.errors import AppError


class InvalidIdempotencyKey(AppError):
    """There are several keys, or the key has no characters, too many, or one that is not visible.

    ``longest`` is the most characters that a key may have.
    """

    def __init__(self, longest: int) -> None:
        super().__init__(
            f"Send one Idempotency-Key of 1 to {longest} visible ASCII characters, without spaces."
        )
        self.longest = longest


class IdempotencyKeyReused(AppError):
    """The key belongs to a request that differs from this one."""

    def __str__(self) -> str:
        return (
            "This Idempotency-Key was sent before, with another body or to another address: send "
            "a new key with a new request."
        )


class IdempotencyKeyInUse(AppError):
    """The first request with the key is still being answered."""

    retry_after = 1.0

    def __str__(self) -> str:
        return (
            "The first request with this Idempotency-Key is still being answered: send it again "
            "in a moment."
        )
