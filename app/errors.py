"""What a client can be told went wrong; ``app/web/error_codes.py`` says with which status.

Exception                      anything not below: our bug, answered 500 without its message
├── TurnFailed                 a stored turn failed: tells of its cause, and where it is kept
├── ProviderError              app/provider/errors.py: the model cannot answer (now)
├── HTTPException              no such route, no such method, body unreadable or too large
├── RequestValidationError     raised by the framework: the body is not what the schema says
└── ApiError
    ├── InvalidRequest         the body breaks a rule that the schema cannot know
    ├── RenderFailed           the prompt template breaks a limit or cannot be rendered
    ├── TemplateNotFound       no prompt template has this name
    ├── TemplateVersionNotFound  the template has no such version, or nothing is in it
    ├── TemplateExists         to be made, but the owner has one of this name
    ├── TemplateBuiltIn        to be deleted, but it comes with the server
    ├── TooManyTemplates       the owner has as many as there can be
    ├── PreconditionFailed     If-Match names another state than the present one
    ├── KeyRequired            no API key, or a wrong one
    ├── OpenBindRefused        reached from outside this machine although there are no keys
    ├── HostNotAllowed         the Host header names another site (DNS rebinding)
    ├── OriginNotAllowed       a web page of another site tries to change something
    ├── MediaTypeNotSupported  the body is not declared as JSON
    ├── StorageUnavailable     the database cannot be reached, is full or locked
    ├── ConversationNotFound   no such conversation, or somebody else's
    ├── MessageNotFound        no such message in this conversation
    ├── ConversationBusy       another answer of this conversation is being made
    ├── HistoryTooLong         more messages than MAX_HISTORY_LENGTH, and none may be left out
    ├── PullNotAllowed         clients may not download models (ALLOW_PULL)
    ├── PullNotFound           no such download
    ├── TooManyPulls           more downloads wait than may
    ├── …                      app/media/errors.py: a picture cannot be taken
    ├── ImageNotFound          the conversation has no such picture
    ├── UploadsBusy            too much of what clients send is being read
    ├── ModelCannotSee         pictures for a model that takes none
    ├── NoVisionModel          no model here sees pictures
    ├── web.errors             what the edge refuses
    └── ClientGone             the client hung up; nobody reads the answer

Every answer that is an error is a problem object (RFC 9457) with a stable ``code``.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import ClassVar

from pydantic import BaseModel, Field

MAX_FIELD_ERRORS = 20
"""What is told of one body at most."""


class FieldError(BaseModel):
    """One thing wrong with a request body."""

    pointer: str = Field(description="JSON pointer (RFC 6901) to the value; empty: all of it.")
    detail: str = Field(description="What is wrong with it.")


class ApiError(Exception):
    """Root of the errors of the web layer; ``str()`` is one sentence fit for the user."""

    headers: ClassVar[Mapping[str, str]] = {}


class InvalidRequest(ApiError):
    """The value at ``pointer`` breaks a limit that the schema cannot know."""

    def __init__(self, pointer: str, detail: str) -> None:
        super().__init__(detail)
        self.errors = [FieldError(pointer=pointer, detail=detail)]

    @classmethod
    def of(cls, errors: Sequence[FieldError]) -> InvalidRequest:
        """Several things that are wrong at once; the sentence names them all."""
        error = cls("", "; ".join(found.detail for found in errors) + ".")
        error.errors = list(errors)
        return error


class RenderFailed(ApiError):
    """A prompt template took too long, grew too large or cannot be rendered with these values."""

    def __init__(self, detail: str) -> None:
        # Templates choose the words of some errors; no answer can carry half a surrogate pair.
        super().__init__(detail[:500].encode("utf-8", "backslashreplace").decode())


class TemplateNotFound(ApiError):
    """There is no prompt template of this name."""

    def __init__(self, name: str) -> None:
        super().__init__(
            f"There is no prompt template {name!r}; GET /prompt/templates lists the names."
        )


class TemplateVersionNotFound(ApiError):
    """The template has no version of that number that could be restored."""

    def __init__(self, name: str, version: int) -> None:
        super().__init__(
            f"There is nothing to restore from version {version} of the prompt template {name!r}; "
            f"GET /prompt/templates/{name}/versions says what there is."
        )


class TemplateExists(ApiError):
    """The owner has a prompt template of this name already."""

    def __init__(self, name: str) -> None:
        super().__init__(
            f"You have a prompt template {name!r} already; "
            f"PUT /prompt/templates/{name} replaces it."
        )


class TemplateBuiltIn(ApiError):
    """A prompt template that comes with the server can be replaced, but not deleted."""

    def __init__(self, name: str) -> None:
        super().__init__(
            f"The prompt template {name!r} comes with the server and cannot be deleted; "
            f"PUT /prompt/templates/{name} replaces it with one of your own."
        )


class TooManyTemplates(ApiError):
    """The owner has reached the highest number of own prompt templates."""

    def __init__(self, most: int) -> None:
        super().__init__(f"You have {most} prompt templates, the most there can be: delete one.")


class PreconditionFailed(ApiError):
    """What If-Match names is not what is there; ``etag`` is, or nothing is there."""

    def __init__(self, etag: str | None) -> None:
        now = f"its ETag is {etag} now" if etag else "it is not there any more"
        super().__init__(f"This is not as it was when you read it, {now}: read it again.")


class KeyRequired(ApiError):
    """No API key was sent, or one that is not among API_KEYS."""

    headers: ClassVar[Mapping[str, str]] = {"WWW-Authenticate": "Bearer"}


class OpenBindRefused(ApiError):
    """The server listens beyond this machine, without keys and without the opt-out."""


class HostNotAllowed(ApiError):
    """The Host header names a host that this server does not answer for."""


class OriginNotAllowed(ApiError):
    """A page of another origin sent a request that changes something."""


class MediaTypeNotSupported(ApiError):
    """The body of a JSON route is not declared as JSON."""


class StorageUnavailable(ApiError):
    """The database cannot be reached or cannot take more."""

    headers: ClassVar[Mapping[str, str]] = {"Retry-After": "5"}


class ConversationNotFound(ApiError):
    """No conversation of this owner has that id."""

    def __init__(self, conversation_id: str) -> None:
        super().__init__(
            f"There is no conversation {conversation_id[:100]!r}; "
            "GET /api/v4/conversations lists yours."
        )


class MessageNotFound(ApiError):
    """The conversation has no message of that id."""

    def __init__(self, message_id: str) -> None:
        super().__init__(f"There is no message {message_id[:100]!r} in this conversation.")


class ConversationBusy(ApiError):
    """Two answers of one conversation are never made at once."""

    headers: ClassVar[Mapping[str, str]] = {"Retry-After": "1"}

    def __str__(self) -> str:
        return (
            "Another answer of this conversation is being made: wait for it, stop it, "
            'or send "when_busy": "wait".'
        )


class HistoryTooLong(ApiError):
    """The branch has more messages than one request may carry."""

    def __init__(self, length: int, longest: int) -> None:
        super().__init__(
            f"The conversation has {length} messages; a model is shown {longest} at most (the "
            'setting MAX_HISTORY_LENGTH). Let "overflow" be "drop_oldest" or "summarise".'
        )


class PullNotAllowed(ApiError):
    """Clients of this server may not download models."""


class PullNotFound(ApiError):
    """No download has that id."""

    def __init__(self, job: str) -> None:
        super().__init__(f"There is no download {job[:100]!r}; GET /api/v5/models/pull lists them.")


class TooManyPulls(ApiError):
    """As many downloads run and wait as there can be."""

    headers: ClassVar[Mapping[str, str]] = {"Retry-After": "60"}

    def __init__(self, most: int) -> None:
        super().__init__(f"{most} downloads run or wait: wait for one of them, or cancel one.")


class ImageNotFound(ApiError):
    """The conversation has no picture of that hash."""

    def __init__(self, sha256: str) -> None:
        super().__init__(f"There is no image {sha256[:100]!r} in this conversation.")


class UploadsBusy(ApiError):
    """As many bytes of large bodies are in memory as may."""

    headers: ClassVar[Mapping[str, str]] = {"Retry-After": "2"}

    def __str__(self) -> str:
        return "The server is reading as many large requests as it can: try again in a moment."


class ModelCannotSee(ApiError):
    """Pictures are to be shown to a model that takes none; ``seeing`` are models that do."""

    def __init__(self, model: str, seeing: Sequence[str]) -> None:
        cure = f"these can: {', '.join(seeing)}" if seeing else "and no model here can"
        super().__init__(
            f"{model} cannot see the images of the question or of the conversation; {cure}. "
            'Name one as "model"; nothing was stored.'
        )


class NoVisionModel(ApiError):
    """There is no model that could be shown a picture."""

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


class ClientGone(ApiError):
    """The client hung up before its answer was ready."""


def pointer(*steps: object) -> str:
    """The JSON pointer that takes these steps."""
    return "".join(f"/{_escape(step)}" for step in steps)


def _escape(step: object) -> str:
    # A key the client made up may hold half a surrogate pair, which no answer can carry.
    name = str(step)[:100].encode("utf-8", "backslashreplace").decode()
    return name.replace("~", "~0").replace("/", "~1")
