"""One process or several: who owns the models, and what each process may take of the machine."""

from __future__ import annotations

from typing import Literal

Runtime = Literal["local", "shared"]
"""The process that serves owns the models, or a model server that several processes ask."""


def require_one_owner(runtime: Runtime | None, processes: int) -> None:
    """Raise ValueError where each of several processes would load the models for itself."""
    if runtime == "local" and processes > 1:
        raise ValueError(
            f"{processes} processes would each load the models. Use ENGINE_RUNTIME=shared, which "
            "is the default of several processes, or one process"
        )


def default_runtime(processes: int) -> Runtime:
    """Who owns the models where no setting says it."""
    return "shared" if processes > 1 else "local"


def share(amount: int, processes: int) -> int:
    """The part of a bound of the machine that is kept by one of ``processes``: at least 1."""
    return max(1, amount // processes)
