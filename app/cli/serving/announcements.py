"""What is printed in the terminal: the addresses, and how far the default model is."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable

from app.provider.errors import ModelConflict, ModelNotFound
from app.provider.pool.pool import ModelPool


def announce(text: str) -> None:
    """Print at once, also into a pipe."""
    print(text, flush=True)  # noqa: T201


def addresses(root: str) -> str:
    """The four addresses to open first."""
    return (
        f"\n  Start here    {root}/\n"
        f"  Try the API   {root}/docs\n"
        f"  Read the API  {root}/redoc\n"
        f"  Health        {root}/health\n\n"
        "Ctrl-C stops the server."
    )


async def watch(
    pool: ModelPool, preloading: asyncio.Task[None], say: Callable[[str], None] = announce
) -> None:
    """Report on the default model, once it loads, until it is ready or has failed."""
    await asyncio.wait([preloading])
    try:
        model = (await pool.find(None)).id
    except (ModelNotFound, ModelConflict):
        return  # the log says so already
    began = shown = time.monotonic()
    while (state := pool.state(model)) in {"loading", "restarting"}:
        if time.monotonic() - shown >= 5:
            shown = time.monotonic()
            say(f"Loading {model} … {shown - began:.0f} s")
        await asyncio.sleep(0.05)
    if state == "unloaded":
        return  # it was not loaded, and the log says why; or a request has unloaded it
    problem = pool.health()[model].problem if model in pool.health() else None
    say(f"{model} failed to load: {problem}" if state == "failed" else f"{model} is ready.")
