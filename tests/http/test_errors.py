from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException

from app import errors
from app.conversations import errors as conversations
from app.downloads import errors as downloads
from app.encoding import errors as encoding
from app.idempotency import errors as idempotency
from app.media import errors as media
from app.provider import errors as provider
from app.provider.hub import errors as hub
from app.storage import errors as storage
from app.templates import errors as templates
from app.web import errors as edge
from app.web import problem_details
from app.web.error_codes import FRAMEWORK, TABLE

SAMPLES: list[Exception] = [
    RequestValidationError([{"loc": ("body", "a"), "msg": "wrong", "type": "x"}]),
    errors.InvalidRequest("/history", "The history is too long."),
    templates.RenderFailed("Too long."),
    provider.ContextOverflow(5000, 4096),
    provider.InputTooLong(3, 600, 512),
    provider.UnsupportedInput("No."),
    provider.UnsupportedConstraint("The schema cannot be enforced."),
    edge.KeyRequired("Send a key."),
    edge.AdminKeyRequired(),
    edge.OpenBindRefused("No."),
    edge.OriginNotAllowed("No."),
    provider.ModelNotFound("nobody"),
    templates.TemplateNotFound("nobody"),
    templates.TemplateVersionNotFound("mine", 7),
    conversations.ConversationNotFound("c1"),
    conversations.MessageNotFound("m1"),
    conversations.ConversationBusy(),
    conversations.AnswerFailed("The engine ended."),
    conversations.TooManyBackgroundAnswers(2000),
    conversations.HistoryTooLong(200, 100),
    storage.StorageUnavailable("The disk is full."),
    templates.TemplateExists("mine"),
    templates.TemplateBuiltIn("default"),
    templates.TooManyTemplates(1000),
    storage.PreconditionFailed('"2"'),
    provider.ModelConflict("Two."),
    provider.ModelInUse("starter", 2),
    provider.ModelNotLoadable("Broken."),
    edge.MediaTypeNotSupported("No."),
    edge.HostNotAllowed("No."),
    provider.EngineBusy("Full.", 0.2),
    edge.MalformedRequest("No."),
    edge.ServerFull(),
    edge.ClientGone("Gone."),
    provider.EngineUnavailable("Down.", 2.5),
    hub.HubError("It ended."),
    hub.NotOnHub("No."),
    hub.NotAllowed("No."),
    hub.HubUnreachable("Silent."),
    hub.NoSpace("Full."),
    hub.Damaged("Wrong."),
    hub.NameTaken("There."),
    downloads.PullNotAllowed("No."),
    downloads.PullNotFound("p1"),
    downloads.TooManyPulls(20),
    media.ImageTooLarge("Too large."),
    media.TooManyImages(9, 8),
    media.ImageTypeNotSupported("No."),
    media.ImageTypeMismatch("image/png", "image/jpeg"),
    media.ImageUnreadable("Damaged."),
    media.ImagesBusy(32),
    media.ImageUrlsOff(),
    media.ImageUrlRefused("No."),
    media.ImageUnreachable("Silent."),
    conversations.ImageNotFound("5e"),
    edge.UploadsBusy(),
    conversations.ModelCannotSee("starter", ["starter-vision"]),
    conversations.NoVisionModel(),
    encoding.NoEncoder("rerank"),
    encoding.TooManyDimensions("starter-embed", 300, 192),
    encoding.UnknownPrompt("poem", "starter-embed", ("query",)),
    encoding.QueryTooLong(600, 512),
    idempotency.InvalidIdempotencyKey(255),
    idempotency.IdempotencyKeyReused(),
    idempotency.IdempotencyKeyInUse(),
    ValueError("a secret"),
]


VARIANTS: dict[str, Exception] = {
    "TurnFailed(EngineBusy)": conversations.TurnFailed(
        provider.EngineBusy("Full.", 0.2), "c1", "m1"
    ),
    "TurnFailed(ModelNotFound)": conversations.TurnFailed(
        provider.ModelNotFound("nobody"), "c1", "m1"
    ),
    "ModelCannotSee()": conversations.ModelCannotSee("starter", []),
    "PreconditionFailed()": storage.PreconditionFailed(None),
    "InvalidRequest()": errors.InvalidRequest.of(
        [errors.FieldError("/a", "one"), errors.FieldError("/b", "two")]
    ),
}

DIALECTS = ("app.openai.", "app.anthropic.", "app.tool.")
RELEASED = json.loads((Path(__file__).parent / "problems.json").read_text())
"""Every sample as clients of v1 to v5 have always got it; a new error adds a line."""


def rendered(error: Exception) -> dict[str, Any]:
    body: dict[str, Any] = json.loads(bytes(problem_details.render(error, "r1").body))
    return body


def kinds(root: type[Exception]) -> Iterator[type[Exception]]:
    for kind in root.__subclasses__():
        yield kind
        yield from kinds(kind)


def test_every_kind_of_error_has_its_row() -> None:
    """A dialect's own error has the row of the error that it refines."""
    found = [*kinds(errors.AppError), *kinds(provider.ProviderError)]
    shared = {kind for kind in found if not kind.__module__.startswith(DIALECTS)}
    assert shared <= TABLE.keys()


def test_every_row_has_its_sample() -> None:
    assert {type(sample) for sample in SAMPLES} - {ValueError} == TABLE.keys() - {Exception}


@pytest.mark.parametrize("sample", SAMPLES, ids=lambda sample: type(sample).__name__)
def test_every_row_becomes_a_problem(sample: Exception) -> None:
    status, code, _ = TABLE.get(type(sample), TABLE[Exception])
    answer = problem_details.render(sample, "r1")
    assert answer.status_code == status
    assert answer.media_type == "application/problem+json"
    body = rendered(sample)
    assert (body["status"], body["code"], body["request_id"]) == (status, code, "r1")
    assert body["type"] == "about:blank"
    assert body["title"]
    assert body["detail"]


@pytest.mark.parametrize("name", RELEASED)
def test_no_byte_of_a_released_problem_changes(name: str) -> None:
    samples = VARIANTS | {type(sample).__name__: sample for sample in SAMPLES}
    answer = problem_details.render(samples[name], "r1")
    sent = {"status": answer.status_code, "headers": dict(answer.headers)}
    assert sent | {"body": bytes(answer.body).decode()} == RELEASED[name]


def test_every_sample_is_released() -> None:
    assert {type(sample).__name__ for sample in SAMPLES} | VARIANTS.keys() == RELEASED.keys()


def test_errors_name_no_address_of_an_api() -> None:
    assert not [sample for sample in SAMPLES if re.search(r"/api/|(GET|PUT|POST) /", str(sample))]


@pytest.mark.parametrize("status", FRAMEWORK)
def test_errors_of_the_framework_have_codes_too(status: int) -> None:
    body = rendered(HTTPException(status, "x"))
    assert (body["status"], body["code"]) == (status, FRAMEWORK[status])


def test_context_overflow_tells_both_numbers() -> None:
    body = rendered(provider.ContextOverflow(5000, 4096))
    assert (body["needed"], body["limit"]) == (5000, 4096)


@pytest.mark.parametrize(
    ("error", "seconds"),
    [(provider.EngineBusy("Full.", 0.2), "1"), (provider.EngineUnavailable("Down.", 2.5), "3")],
)
def test_busy_says_when_to_come_back(error: Exception, seconds: str) -> None:
    assert problem_details.render(error, "r1").headers["retry-after"] == seconds


def test_our_bugs_keep_their_message() -> None:
    assert "secret" not in json.dumps(rendered(ValueError("a secret")))


def test_a_made_up_field_name_cannot_break_the_answer() -> None:
    found = {"loc": ("body", "a/~\ud800" + "x" * 1000), "msg": "no", "type": "extra_forbidden"}
    (field,) = rendered(RequestValidationError([found] * 3))["errors"][:1]
    assert field["pointer"].startswith("/a~1~0\\ud800xxx")
    assert len(field["pointer"]) < 200


def problem(answer: httpx.Response) -> tuple[int, str]:
    body = answer.json()
    assert answer.headers["content-type"] == "application/problem+json"
    assert body["request_id"] == answer.headers["x-request-id"]
    assert body["status"] == answer.status_code
    return answer.status_code, body["code"]


def test_unknown_addresses_methods_and_models(echo: httpx.Client) -> None:
    assert problem(echo.get("/api/v1/nothing")) == (404, "not-found")
    assert problem(echo.get("/api/v99/chat")) == (404, "not-found")
    assert problem(echo.get("/docs/")) == (404, "not-found")
    refused = echo.get("/api/v1/chat")
    assert problem(refused) == (405, "method-not-allowed")
    assert refused.headers["allow"] == "POST"
    ask = {"message": "hi", "model": "gpt-99"}
    assert problem(echo.post("/api/v1/chat", json=ask)) == (404, "model-not-found")
    assert problem(echo.post("/api/v2/chat/stream", json=ask)) == (404, "model-not-found")


def test_a_request_id_of_the_client_is_kept(echo: httpx.Client) -> None:
    answer = echo.get("/health/live", headers={"X-Request-ID": "mine-1"})
    assert answer.headers["x-request-id"] == "mine-1"
    forged = echo.get("/health/live", headers={"X-Request-ID": "mine 1 INFO forged"})
    assert forged.headers["x-request-id"] != "mine 1 INFO forged"
