"""What can go wrong with prompt templates."""

from __future__ import annotations

from app.errors import AppError


class RenderFailed(AppError):
    """A prompt template took too long, grew too large or cannot be rendered with these values."""

    def __init__(self, detail: str) -> None:
        # Templates choose the words of some errors; no answer can carry half a surrogate pair.
        super().__init__(detail[:500].encode("utf-8", "backslashreplace").decode())


class TemplateNotFound(AppError):
    """There is no prompt template of this name."""

    def __init__(self, name: str) -> None:
        super().__init__(f"There is no prompt template {name!r}.")
        self.name = name


class TemplateVersionNotFound(AppError):
    """The template has no version of that number that could be restored."""

    def __init__(self, name: str, version: int) -> None:
        super().__init__(
            f"There is nothing to restore from version {version} of the prompt template {name!r}."
        )
        self.name = name
        self.version = version


class TemplateExists(AppError):
    """The owner has a prompt template of this name already."""

    def __init__(self, name: str) -> None:
        super().__init__(f"You have a prompt template {name!r} already.")
        self.name = name


class TemplateBuiltIn(AppError):
    """A prompt template that comes with the server can be replaced, but not deleted."""

    def __init__(self, name: str) -> None:
        super().__init__(
            f"The prompt template {name!r} comes with the server and cannot be deleted."
        )
        self.name = name


class TooManyTemplates(AppError):
    """The owner has reached the highest number of own prompt templates."""

    def __init__(self, most: int) -> None:
        super().__init__(f"You have {most} prompt templates, the most there can be: delete one.")
        self.most = most
