"""Ends tasks of the event loop."""

from __future__ import annotations

import asyncio
from typing import Any


async def cancel_tasks(*tasks: asyncio.Future[Any] | None) -> None:
    """Cancel tasks and see them through, so that what they hold is released on return.

    Their errors are dropped; None stands for a task that was never begun.
    """
    begun = [task for task in tasks if task is not None]
    for task in begun:
        task.cancel()
    await asyncio.gather(*begun, return_exceptions=True)
