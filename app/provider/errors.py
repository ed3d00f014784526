"""Everything that can go wrong in the provider, without status codes.

ProviderError
├── ModelNotFound       no model of that id
├── ModelConflict       two files claim that id
├── ModelNotLoadable    the file is there but its engine cannot load it
├── ContextOverflow     prompt (and answer) do not fit into the context
├── InputTooLong        one item of several to encode is longer than the model takes
├── UnsupportedInput    the model cannot take this prompt (its template refuses it, …)
│   └── UnsupportedConstraint  a schema or grammar that cannot be enforced
├── ModelInUse          it was to be unloaded, but is answering
├── EngineBusy          the waiting line is full: try again later
└── EngineUnavailable   the engine died, hangs or is not up: try again later

Errors cross a process border, so each one rebuilds itself from its positional arguments.
"""

from __future__ import annotations


class ProviderError(Exception):
    """Root of the tree; ``str()`` is one sentence fit for the user."""


class ModelNotFound(ProviderError):
    """No model of that id is in the catalogue."""

    def __init__(self, model: str) -> None:
        super().__init__(model)
        self.model = model

    def __str__(self) -> str:
        return f"There is no model {self.model!r}."


class ModelConflict(ProviderError):
    """Several files claim the same id."""


class ModelNotLoadable(ProviderError):
    """The engine refused the file, for this reason.

    It is not ``lasting`` where it lies outside the file: too little memory, a missing library.
    """

    def __init__(self, reason: str, lasting: bool = True) -> None:
        super().__init__(reason, lasting)
        self.reason = reason
        self.lasting = lasting

    def __str__(self) -> str:
        return self.reason


class ContextOverflow(ProviderError):
    """The prompt needs more tokens than the context has."""

    def __init__(self, needed: int, limit: int) -> None:
        super().__init__(needed, limit)
        self.needed = needed
        self.limit = limit

    def __str__(self) -> str:
        return (
            f"The prompt needs {self.needed} tokens but this model's context holds {self.limit}. "
            "Shorten the message or the history."
        )


class InputTooLong(ProviderError):
    """The item number ``index`` of a job that encodes has more tokens than the model takes."""

    def __init__(self, index: int, needed: int, limit: int) -> None:
        super().__init__(index, needed, limit)
        self.index = index
        self.needed = needed
        self.limit = limit

    def __str__(self) -> str:
        return (
            f"The input at index {self.index} has {self.needed} tokens but this model takes at "
            f"most {self.limit}. Shorten it, or ask for it to be truncated."
        )


class UnsupportedInput(ProviderError):
    """The model cannot take this prompt."""


class UnsupportedConstraint(UnsupportedInput):
    """A schema, regular expression or grammar cannot be enforced, for this reason."""


class ModelInUse(ProviderError):
    """A model that was to be unloaded has requests in hand."""

    def __init__(self, model: str, requests: int) -> None:
        super().__init__(model, requests)
        self.model = model
        self.requests = requests

    def __str__(self) -> str:
        return f"{self.model!r} is answering {self.requests} requests: wait for them to end."


class EngineBusy(ProviderError):
    """The bounded waiting line is full. ``retry_after`` is in seconds."""

    def __init__(self, reason: str, retry_after: float) -> None:
        super().__init__(reason, retry_after)
        self.reason = reason
        self.retry_after = retry_after

    def __str__(self) -> str:
        return self.reason


class EngineUnavailable(ProviderError):
    """The engine process is gone or hangs. ``retry_after`` is in seconds."""

    def __init__(self, reason: str, retry_after: float) -> None:
        super().__init__(reason, retry_after)
        self.reason = reason
        self.retry_after = retry_after

    def __str__(self) -> str:
        return self.reason
