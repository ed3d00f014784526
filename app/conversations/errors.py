"""What can go wrong with stored conversations and their turns."""

from __future__ import annotations

from collections.abc import Sequence

from app.errors import AppError


class ConversationNotFound(AppError):
    """No conversation of this owner has that id."""

    def __init__(self, conversation_id: str) -> None:
        super().__init__(f"There is no conversation {conversation_id[:100]!r}.")
        self.conversation_id = conversation_id


class MessageNotFound(AppError):
    """The conversation has no message of that id."""

    def __init__(self, message_id: str) -> None:
        super().__init__(f"There is no message {message_id[:100]!r} in this conversation.")
        self.message_id = message_id


class ConversationBusy(AppError):
    """Two answers of one conversation are never made at once."""

    retry_after = 1.0

    def __str__(self) -> str:
        return "Another answer of this conversation is being made."


class AnswerFailed(AppError):
    """A stored answer failed, for the reason that is stored with it."""


class TooManyBackgroundAnswers(AppError):
    """As many answers are waiting or being made in the background as may."""

    retry_after = 5.0

    def __init__(self, most: int) -> None:
        super().__init__(
            f"{most} answers are being made in the background already "
            "(the setting MAX_BACKGROUND_ANSWERS): try again later."
        )
        self.most = most


class HistoryTooLong(AppError):
    """The branch has more messages than one request may carry."""

    def __init__(self, length: int, longest: int) -> None:
        super().__init__(
            f"The conversation has {length} messages; a model is shown {longest} at most (the "
            'setting MAX_HISTORY_LENGTH). Let "overflow" be "drop_oldest" or "summarise".'
        )
        self.length = length
        self.longest = longest


class ImageNotFound(AppError):
    """The conversation has no picture of that hash."""

    def __init__(self, sha256: str) -> None:
        super().__init__(f"There is no image {sha256[:100]!r} in this conversation.")
        self.sha256 = sha256


class ModelCannotSee(AppError):
    """A text-only model was to be shown images; ``vision_models`` are models that take some."""

    def __init__(self, model: str, vision_models: Sequence[str]) -> None:
        cure = (
            f"these can: {', '.join(vision_models)}" if vision_models else "and no model here can"
        )
        super().__init__(
            f"{model} cannot see the images of the question or of the conversation; {cure}."
        )
        self.model = model
        self.vision_models = tuple(vision_models)


class NoVisionModel(AppError):
    """There is no vision model."""

    def __str__(self) -> str:
        return (
            "No model here sees images: put one into the models folder (./run.sh pull lists some) "
            "or set VISION_MODEL_PATH."
        )


class TurnFailed(Exception):
    """A stored turn went wrong: its question is kept, and this says where."""

    def __init__(self, cause: Exception, conversation_id: str, message_id: str) -> None:
        super().__init__(str(cause))
        self.cause = cause
        self.conversation_id = conversation_id
        self.message_id = message_id


def cause_of(error: Exception) -> Exception:
    """What went wrong, in a stored turn or elsewhere."""
    return error.cause if isinstance(error, TurnFailed) else error
