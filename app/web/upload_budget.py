"""How many bytes of large bodies all requests together may hold in memory."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from fastapi import Request

from app.web.errors import UploadsBusy


class UploadBudget:
    """Bytes of large bodies that are in memory at the same time, of all requests together."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._held = 0

    @contextmanager
    def reserve(self) -> Iterator[Callable[[int], None]]:
        """Count the bytes of one body until the end of the context.

        The function that is given takes the size of each piece; it raises UploadsBusy when there
        would be more than the most.
        """
        mine = 0

        def take(size: int) -> None:
            nonlocal mine
            if self._held + size > self._most:
                raise UploadsBusy
            self._held += size
            mine += size

        try:
            yield take
        finally:
            self._held -= mine


def upload_budget(request: Request) -> UploadBudget:
    """The one budget of the application that serves ``request``."""
    budget: UploadBudget = request.state.uploads
    return budget
