"""What can be wrong with a request for vectors or scores.

AppError                 app/errors.py
├── NoEncoder            no model of the kind that is needed, and none was named
├── TooManyDimensions    longer vectors were asked for than the model makes
├── UnknownPrompt        the model has no prompt of that name
└── QueryTooLong         what documents are ranked for is longer than the model takes
"""

from __future__ import annotations

from app.errors import AppError
from app.provider.card import Kind


class NoEncoder(AppError):
    """There is no model of that kind here, or none that can be loaded."""

    def __init__(self, kind: Kind) -> None:
        super().__init__(kind)
        self.kind = kind

    def __str__(self) -> str:
        return (
            f"No model here is of the kind {self.kind}: put one into the models folder "
            "(./run.sh pull lists some)."
        )


class TooManyDimensions(AppError):
    """Vectors can be cut, never made longer."""

    def __init__(self, model: str, asked: int, most: int) -> None:
        super().__init__(model, asked, most)
        self.model = model
        self.asked = asked
        self.most = most

    def __str__(self) -> str:
        return f"Vectors of {self.model} have {self.most} dimensions: {self.asked} are too many."


class UnknownPrompt(AppError):
    """The model has no prompt of that name."""

    def __init__(self, name: str, model: str, known: tuple[str, ...]) -> None:
        super().__init__(name, model, known)
        self.name = name
        self.model = model
        self.known = known

    def __str__(self) -> str:
        known = ", ".join(self.known) or "none"
        return (
            f"{self.model} has no prompt {self.name[:100]!r}; it has: {known}. "
            "Use query, document, classification or clustering, or one of these."
        )


class QueryTooLong(AppError):
    """The query has more tokens than the model takes."""

    def __init__(self, needed: int, limit: int) -> None:
        super().__init__(needed, limit)
        self.needed = needed
        self.limit = limit

    def __str__(self) -> str:
        return f"The query has {self.needed} tokens but this model takes at most {self.limit}."
