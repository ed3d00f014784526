"""What a client can be told went wrong, and the one table of status codes.

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
    ├── ImageTooLarge          a picture has more bytes or pixels than may be
    ├── TooManyImages          more pictures in one request than may be
    ├── ImageTypeNotSupported  a file is none of the five types of pictures
    ├── ImageTypeMismatch      a file is a picture of another type than was said
    ├── ImageUnreadable        a picture is damaged, or not base64
    ├── ImagesBusy             too many pictures wait to be decoded
    ├── ImageUrlsOff           pictures are not fetched here (IMAGE_URLS)
    ├── ImageUrlRefused        the address of a picture is not one to fetch from
    ├── ImageUnreachable       the server of a picture does not answer, or not with one
    ├── ImageNotFound          the conversation has no such picture
    ├── UploadsBusy            too much of what clients send is being read
    ├── ModelCannotSee         pictures for a model that takes none
    ├── NoVisionModel          no model here sees pictures
    └── ClientGone             the client hung up; nobody reads the answer

Every answer that is an error is a problem object (RFC 9457) with a stable ``code``.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import ClassVar, NamedTuple

from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel, Field

from app.provider.errors import (
    ContextOverflow,
    EngineBusy,
    EngineUnavailable,
    ModelConflict,
    ModelInUse,
    ModelNotFound,
    ModelNotLoadable,
    UnsupportedInput,
)
from app.provider.hub.errors import (
    Damaged,
    HubError,
    HubUnreachable,
    NameTaken,
    NoSpace,
    NotAllowed,
    NotOnHub,
)

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


class ImageTooLarge(ApiError):
    """A picture is larger than one may be, in bytes or pixels."""


class TooManyImages(ApiError):
    """One request brings more pictures than it may."""

    def __init__(self, count: int, most: int) -> None:
        super().__init__(f"The request has {count} images; {most} are the most (MAX_IMAGES).")


class ImageTypeNotSupported(ApiError):
    """A file's content is none of the types that are taken."""


class ImageTypeMismatch(ApiError):
    """A file is not of the type that it was declared as."""

    def __init__(self, declared: str, found: str) -> None:
        super().__init__(f"The image is declared as {declared[:100]!r}, but it is {found}.")


class ImageUnreadable(ApiError):
    """A picture cannot be decoded."""


class ImagesBusy(ApiError):
    """As many pictures wait to be decoded as may."""

    headers: ClassVar[Mapping[str, str]] = {"Retry-After": "2"}

    def __init__(self, most: int) -> None:
        super().__init__(f"{most} images are waiting to be decoded: try again in a moment.")


class ImageUrlsOff(ApiError):
    """Pictures are not fetched by this server."""

    def __str__(self) -> str:
        return (
            "This server fetches no images: send the image as base64 (or set IMAGE_URLS=true "
            "on the server)."
        )


class ImageUrlRefused(ApiError):
    """The address of a picture, or one that it leads on to, is not fetched from."""


class ImageUnreachable(ApiError):
    """A picture could not be fetched."""


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


class Kind(NamedTuple):
    """Status and code of an error, and the API version whose contract names it first."""

    status: int
    code: str
    since: int = 1


TABLE: dict[type[Exception], Kind] = {
    RequestValidationError: Kind(422, "invalid-request"),
    InvalidRequest: Kind(422, "invalid-request"),
    RenderFailed: Kind(422, "template-failed", since=3),
    ImageUnreadable: Kind(422, "image-unreadable", since=5),
    ImageUrlRefused: Kind(422, "image-url-refused", since=5),
    ModelCannotSee: Kind(422, "model-cannot-see", since=5),
    HistoryTooLong: Kind(400, "history-too-long", since=4),
    ContextOverflow: Kind(400, "context-length-exceeded"),
    UnsupportedInput: Kind(400, "unsupported-input"),
    KeyRequired: Kind(401, "api-key-required"),
    OpenBindRefused: Kind(403, "open-bind-refused"),
    OriginNotAllowed: Kind(403, "origin-not-allowed"),
    NotAllowed: Kind(403, "hub-refused", since=5),
    ImageUrlsOff: Kind(403, "image-urls-off", since=5),
    PullNotAllowed: Kind(403, "pull-not-allowed", since=5),
    ConversationNotFound: Kind(404, "conversation-not-found", since=4),
    ImageNotFound: Kind(404, "image-not-found", since=5),
    NoVisionModel: Kind(404, "no-vision-model", since=5),
    MessageNotFound: Kind(404, "message-not-found", since=4),
    ModelNotFound: Kind(404, "model-not-found"),
    NotOnHub: Kind(404, "hub-model-not-found", since=5),
    PullNotFound: Kind(404, "pull-not-found", since=5),
    TemplateNotFound: Kind(404, "template-not-found", since=3),
    TemplateVersionNotFound: Kind(404, "template-version-not-found", since=4),
    ConversationBusy: Kind(409, "conversation-busy", since=4),
    ModelConflict: Kind(409, "model-conflict"),
    ModelInUse: Kind(409, "model-in-use", since=5),
    ModelNotLoadable: Kind(409, "model-not-loadable"),
    NameTaken: Kind(409, "name-taken", since=5),
    TemplateBuiltIn: Kind(409, "template-built-in", since=4),
    TemplateExists: Kind(409, "template-exists", since=4),
    TooManyTemplates: Kind(409, "too-many-templates", since=4),
    PreconditionFailed: Kind(412, "precondition-failed", since=4),
    ImageTooLarge: Kind(413, "image-too-large", since=5),
    TooManyImages: Kind(413, "too-many-images", since=5),
    ImageTypeMismatch: Kind(415, "image-type-mismatch", since=5),
    ImageTypeNotSupported: Kind(415, "image-type-not-supported", since=5),
    MediaTypeNotSupported: Kind(415, "media-type-not-supported"),
    HostNotAllowed: Kind(421, "host-not-allowed"),
    EngineBusy: Kind(429, "engine-busy"),
    ImagesBusy: Kind(429, "images-busy", since=5),
    UploadsBusy: Kind(429, "uploads-busy", since=5),
    TooManyPulls: Kind(429, "too-many-pulls", since=5),
    ClientGone: Kind(499, "client-gone"),
    ImageUnreachable: Kind(502, "image-unreachable", since=5),
    Damaged: Kind(502, "download-damaged", since=5),
    HubError: Kind(502, "pull-failed", since=5),
    HubUnreachable: Kind(502, "hub-unreachable", since=5),
    EngineUnavailable: Kind(503, "engine-unavailable"),
    StorageUnavailable: Kind(503, "storage-unavailable", since=4),
    NoSpace: Kind(507, "no-space", since=5),
    Exception: Kind(500, "internal-error"),
}
"""Status and code of every error; the nearest class wins."""


def kind_of(error: type[BaseException]) -> Kind:
    """Status and code of an error of that class."""
    return next(TABLE[kind] for kind in (*error.__mro__, Exception) if kind in TABLE)


def pointer(*steps: object) -> str:
    """The JSON pointer that takes these steps."""
    return "".join(f"/{_escape(step)}" for step in steps)


def _escape(step: object) -> str:
    # A key the client made up may hold half a surrogate pair, which no answer can carry.
    name = str(step)[:100].encode("utf-8", "backslashreplace").decode()
    return name.replace("~", "~0").replace("/", "~1")
