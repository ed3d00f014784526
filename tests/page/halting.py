"""A model whose answers halt, so that what happens meanwhile happens in the middle of one."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.provider.upstream.servers import declare
from tests.provider.upstream.stub import USAGE, Answering, stub_server


class Halting:
    """A model of another server; its answers halt after their beginning until they may go on."""

    name = "halting"
    beginning = " ".join(["one two three four five"] * 400)
    answer = f"{beginning} and six"

    def __init__(self) -> None:
        self.may_go_on = threading.Event()
        self.url = ""

    async def make(self, it: Answering) -> None:
        """Make one answer."""
        it.start()
        it.piece({"content": self.beginning})
        while not self.may_go_on.is_set():
            if it.asked.hung_up.is_set():
                return
            await asyncio.sleep(0.01)
        it.piece({"content": self.answer.removeprefix(self.beginning)}, "stop")
        it.event({"choices": [], "usage": USAGE})
        it.done()

    def put_into(self, folder: Path) -> None:
        """Have it among the models of a folder."""
        declare(folder, "box", self.url, models=[self.name], kind="generic", context_length=10_000)


@contextmanager
def halting_model() -> Iterator[Halting]:
    """Serve it."""
    model = Halting()
    with stub_server({model.name: model.make}) as stub:
        model.url = stub.url
        yield model
