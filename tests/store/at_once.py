"""Many clients at once, each in a thread of its own."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

UntilOver = Callable[[threading.Event], None]
"""What a client does until the event is set."""


@contextmanager
def at_once(count: int, client: Callable[[int], UntilOver]) -> Iterator[None]:
    """Let so many clients, by their numbers, work; they finish when the block ends."""
    over = threading.Event()
    with ThreadPoolExecutor(count) as threads:
        work = [threads.submit(client(number), over) for number in range(count)]
        try:
            yield
        finally:
            over.set()
    for one in work:
        one.result()
