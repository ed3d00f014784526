"""The one table of statuses and codes: what every error is called over HTTP."""

from __future__ import annotations

from typing import NamedTuple

from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException

from app.conversations.errors import (
    AnswerFailed,
    ConversationBusy,
    ConversationNotFound,
    HistoryTooLong,
    ImageNotFound,
    MessageNotFound,
    ModelCannotSee,
    NoVisionModel,
    TooManyBackgroundAnswers,
)
from app.downloads.errors import PullNotAllowed, PullNotFound, TooManyPulls
from app.encoding.errors import NoEncoder, QueryTooLong, TooManyDimensions, UnknownPrompt
from app.errors import InvalidRequest
from app.idempotency.errors import (
    IdempotencyKeyInUse,
    IdempotencyKeyReused,
    InvalidIdempotencyKey,
)
from app.media.errors import (
    ImagesBusy,
    ImageTooLarge,
    ImageTypeMismatch,
    ImageTypeNotSupported,
    ImageUnreachable,
    ImageUnreadable,
    ImageUrlRefused,
    ImageUrlsOff,
    TooManyImages,
)
from app.provider.errors import (
    ContextOverflow,
    EngineBusy,
    EngineUnavailable,
    InputTooLong,
    ModelConflict,
    ModelInUse,
    ModelNotFound,
    ModelNotLoadable,
    UnsupportedConstraint,
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
from app.storage.errors import PreconditionFailed, StorageUnavailable
from app.templates.errors import (
    RenderFailed,
    TemplateBuiltIn,
    TemplateExists,
    TemplateNotFound,
    TemplateVersionNotFound,
    TooManyTemplates,
)
from app.web.errors import (
    AdminKeyRequired,
    ClientGone,
    HostNotAllowed,
    KeyRequired,
    MalformedRequest,
    MediaTypeNotSupported,
    OpenBindRefused,
    OriginNotAllowed,
    ServerFull,
    UploadsBusy,
)


class Kind(NamedTuple):
    """Status and code of an error, and the API version whose contract names it first."""

    status: int
    code: str
    since: int = 1


TABLE: dict[type[Exception], Kind] = {
    RequestValidationError: Kind(422, "invalid-request"),
    InvalidRequest: Kind(422, "invalid-request"),
    IdempotencyKeyReused: Kind(422, "idempotency-key-reused", since=6),
    RenderFailed: Kind(422, "template-failed", since=3),
    ImageUnreadable: Kind(422, "image-unreadable", since=5),
    ImageUrlRefused: Kind(422, "image-url-refused", since=5),
    ModelCannotSee: Kind(422, "model-cannot-see", since=5),
    TooManyDimensions: Kind(400, "too-many-dimensions", since=6),
    UnknownPrompt: Kind(400, "unknown-prompt", since=6),
    InvalidIdempotencyKey: Kind(400, "invalid-idempotency-key", since=6),
    MalformedRequest: Kind(400, "malformed-request", since=6),
    HistoryTooLong: Kind(400, "history-too-long", since=4),
    ContextOverflow: Kind(400, "context-length-exceeded"),
    InputTooLong: Kind(400, "context-length-exceeded"),
    QueryTooLong: Kind(400, "context-length-exceeded"),
    UnsupportedConstraint: Kind(400, "unsupported-constraint", since=6),
    UnsupportedInput: Kind(400, "unsupported-input"),
    KeyRequired: Kind(401, "api-key-required"),
    AdminKeyRequired: Kind(403, "admin-key-required", since=6),
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
    NoEncoder: Kind(404, "no-encoder", since=6),
    NotOnHub: Kind(404, "hub-model-not-found", since=5),
    PullNotFound: Kind(404, "pull-not-found", since=5),
    TemplateNotFound: Kind(404, "template-not-found", since=3),
    TemplateVersionNotFound: Kind(404, "template-version-not-found", since=4),
    IdempotencyKeyInUse: Kind(409, "idempotency-key-in-use", since=6),
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
    TooManyBackgroundAnswers: Kind(429, "too-many-background-answers", since=6),
    TooManyPulls: Kind(429, "too-many-pulls", since=5),
    ClientGone: Kind(499, "client-gone"),
    ImageUnreachable: Kind(502, "image-unreachable", since=5),
    Damaged: Kind(502, "download-damaged", since=5),
    HubError: Kind(502, "pull-failed", since=5),
    HubUnreachable: Kind(502, "hub-unreachable", since=5),
    AnswerFailed: Kind(503, "answer-failed", since=6),
    EngineUnavailable: Kind(503, "engine-unavailable"),
    ServerFull: Kind(503, "server-full", since=6),
    StorageUnavailable: Kind(503, "storage-unavailable", since=4),
    NoSpace: Kind(507, "no-space", since=5),
    Exception: Kind(500, "internal-error"),
}
"""Status and code of every error; the nearest class wins."""

FRAMEWORK = {
    400: "malformed-body",
    404: "not-found",
    405: "method-not-allowed",
    408: "request-timeout",
    413: "request-too-large",
    431: "headers-too-large",
    501: "transfer-coding-not-supported",
    505: "http-version-not-supported",
}
"""Codes of HTTPException, by its status."""


def kind_of(error: type[BaseException]) -> Kind:
    """Status and code of an error of that class."""
    return next(TABLE[kind] for kind in (*error.__mro__, Exception) if kind in TABLE)


def kind_of_error(error: Exception) -> Kind:
    """Status and code of an error; those of the framework have one class for all statuses."""
    if isinstance(error, HTTPException):
        return Kind(error.status_code, FRAMEWORK.get(error.status_code, "http-error"))
    return kind_of(type(error))
