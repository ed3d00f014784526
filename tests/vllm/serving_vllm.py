"""A server with a model in the stand-in for vLLM, and what that has noted."""

from __future__ import annotations

import json
import shlex
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import psutil

from tests.conftest import serving
from tests.provider.model_files import write_hf
from tests.vllm import stub

PACKED = {"quant_method": "awq", "bits": 4}
GUARD_SECONDS = 90.0


def is_alive(process: psutil.Process) -> bool:
    """Whether a process runs; one that only waits for its parent does not."""
    try:
        return bool(process.is_running()) and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


@dataclass(frozen=True, slots=True)
class Notes:
    """The folder of a stand-in."""

    folder: Path

    @property
    def command(self) -> str:
        """VLLM_COMMAND."""
        return shlex.join([sys.executable, stub.__file__, str(self.folder)])

    @property
    def starts(self) -> list[dict[str, Any]]:
        """How it was started, once for each start, the first one first."""
        files = sorted(self.folder.glob("started-*.json"), key=lambda file: file.stat().st_mtime_ns)
        return [json.loads(file.read_text()) for file in files]

    @property
    def requests(self) -> list[dict[str, Any]]:
        """The requests that have come."""
        with suppress(FileNotFoundError):
            lines = (self.folder / "requests.jsonl").read_text().splitlines()
            return [json.loads(line) for line in lines]
        return []

    def fail(self, fault: str) -> None:
        """Let this go wrong from now on; an empty text: nothing."""
        file = self.folder / "fault"
        file.write_text(fault)
        if not fault:
            file.unlink()

    def has(self, name: str) -> bool:
        """Whether a file of that name was written."""
        return (self.folder / name).exists()

    def processes(self, start: int = -1) -> list[psutil.Process]:
        """The processes of a start that have not ended."""
        found = []
        for pid in self.starts[start]["pids"]:
            with suppress(psutil.NoSuchProcess):
                process = psutil.Process(pid)
                if is_alive(process):
                    found.append(process)
        return found

    @property
    def socket(self) -> Path:
        """The socket of the last start."""
        return Path(self.starts[-1]["options"]["--uds"])


def wait_for(happened: Callable[[], object]) -> None:
    """Wait until it has happened; the time only guards against waiting for ever."""
    end = time.monotonic() + GUARD_SECONDS
    while not happened():
        assert time.monotonic() < end, "it did not happen"
        time.sleep(0.02)


def has_ended(notes: Notes, start: int = -1) -> Callable[[], bool]:
    """Whether nothing is left of a start: no process, and no folder of its socket."""
    if not notes.starts:  # it was ended before it could write anything down
        return lambda: True
    folder = Path(notes.starts[start]["options"]["--uds"]).parent
    return lambda: not notes.processes(start) and not folder.exists()


def new_notes(folder: Path) -> Notes:
    folder.mkdir()
    return Notes(folder)


@contextmanager
def serving_vllm(
    folder: Path, fault: str = "", **settings: Any
) -> Iterator[tuple[httpx.Client, Notes]]:
    """A server whose model ``m`` has packed weights, and the notes of the stand-in.

    The server loads it at its start: a ``fault`` that concerns loading is there before.
    """
    write_hf(folder / "models" / "m", quantization_config=PACKED)
    notes = new_notes(folder / "notes")
    if fault:
        notes.fail(fault)
    given: dict[str, Any] = {
        "default_chat_model": "m",
        "enable_echo": False,
        "memory_budget_mb": 64 * 1024,
        "models_dir": folder / "models",
        "vllm_command": notes.command,
    }
    with serving(**given | settings) as client:
        yield client, notes
