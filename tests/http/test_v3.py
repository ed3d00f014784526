from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from app.v3.models.examples import TEMPLATE_EXAMPLES
from tests.conftest import serving
from tests.http.events import SentEvent, parsed

STRICT = {
    "name": "strict",
    "description": "Wants to be told everything.",
    "system": "{{ word }} {{ count }} {{ share }} {{ sure }} {{ note }}",
    "user": "<{{ word }} {{ count }} {{ share }} {{ sure }} {{ note }}> {{ message }}",
    "variables": {
        "word": {"type": "string", "required": True},
        "count": {"type": "integer", "required": True},
        "share": {"type": "number", "required": False, "default": 0.5},
        "sure": {"type": "boolean", "required": False, "default": True},
        "note": {"type": "string", "required": False},
    },
}
SHORT = {
    "name": "short",
    "description": "Says little.",
    "system": "Say little. " * 5,
    "variables": {},
    "sampling": {"max_tokens": 2, "stop": ["four"]},
}


@pytest.fixture(scope="module")
def own(tmp_path_factory: pytest.TempPathFactory, empty_models: Path) -> Iterator[httpx.Client]:
    """A server with templates of ours."""
    folder = tmp_path_factory.mktemp("prompts")
    for template in (STRICT, SHORT):
        (folder / f"{template['name']}.json").write_text(json.dumps(template), encoding="utf-8")
    with serving(models_dir=empty_models, prompts_dir=folder) as client:
        yield client


def post(client: httpx.Client, **body: Any) -> httpx.Response:
    return client.post("/api/v3/chat", json={"message": "one two three four"} | body)


def reply_text(client: httpx.Client, **body: Any) -> str:
    answer = post(client, **body)
    assert answer.status_code == 200, answer.text
    text: str = answer.json()["message"]["content"]
    return text


def prompt_tokens(client: httpx.Client, **body: Any) -> int:
    count: int = post(client, **body).json()["usage"]["prompt_tokens"]
    return count


def test_without_a_template_it_is_v1_and_says_so(echo: httpx.Client) -> None:
    body = {"message": "one two", "system": "three", "max_tokens": 1}
    old = echo.post("/api/v1/chat", json=body).json()
    new = echo.post("/api/v3/chat", json=body).json()
    assert new.pop("template") is None
    assert new.pop("id") != old.pop("id")
    assert new == old


def test_templates_are_listed_by_name_and_read_one_by_one(echo: httpx.Client) -> None:
    listed = echo.get("/api/v3/prompt/templates").json()["templates"]
    names = [template["name"] for template in listed]
    assert names == sorted(names) == sorted(TEMPLATE_EXAMPLES)
    for template in listed:
        assert echo.get(f"/api/v3/prompt/templates/{template['name']}").json() == template


def test_a_template_is_shown_as_it_was_written(own: httpx.Client) -> None:
    assert own.get("/api/v3/prompt/templates/strict").json() == STRICT
    assert own.get("/api/v3/prompt/templates/short").json() == SHORT


def test_an_unknown_template_is_404(echo: httpx.Client) -> None:
    answers = [
        echo.get("/api/v3/prompt/templates/nobody"),
        post(echo, template="nobody"),
        echo.post("/api/v3/chat/stream", json={"message": "hi", "template": "nobody"}),
    ]
    for answer in answers:
        assert (answer.status_code, answer.json()["code"]) == (404, "template-not-found")
        assert "'nobody'" in answer.json()["detail"]


def test_the_template_frames_the_message_and_is_named_in_the_answer(own: httpx.Client) -> None:
    given = {"word": "w", "count": 3, "share": 1, "sure": False, "note": "n"}
    answer = post(own, template="strict", variables=given, message="hi").json()
    assert answer["template"] == "strict"
    assert answer["message"]["content"] == "<w 3 1 False n> hi"
    assert answer["usage"]["prompt_tokens"] == 5 + 6


def test_what_is_left_out_is_the_default_or_empty(own: httpx.Client) -> None:
    given = {"word": "w", "count": 3.0}
    assert reply_text(own, template="strict", variables=given, message="hi") == "<w 3 0.5 True > hi"


def test_one_error_names_everything_that_is_wrong(own: httpx.Client) -> None:
    given = {"count": "three", "sure": 1, "share": True, "colour": "red", "a/b~": 1}
    answer = post(own, template="strict", variables=given)
    problem = answer.json()
    assert (answer.status_code, problem["code"]) == (422, "invalid-request")
    assert {error["pointer"]: error["detail"] for error in problem["errors"]} == {
        "/variables/word": "strict needs the variable word",
        "/variables/count": "count must be an integer",
        "/variables/sure": "sure must be true or false",
        "/variables/share": "share must be a number",
        "/variables/colour": "strict has no variable colour",
        "/variables/a~1b~0": "strict has no variable a/b~",
    }
    assert all(error["detail"] in problem["detail"] for error in problem["errors"])


@pytest.mark.parametrize("value", [[1], {"a": 1}, None, 10**30, "a\0b", "x" * 100_001])
def test_a_value_is_a_scalar_within_bounds(own: httpx.Client, value: object) -> None:
    answer = post(own, template="strict", variables={"word": value, "count": 1})
    assert answer.status_code == 422
    assert [error["pointer"] for error in answer.json()["errors"]] == ["/variables/word"]


def test_variables_without_a_template_are_refused(echo: httpx.Client) -> None:
    for nothing in ({}, {"template": None}):
        answer = post(echo, variables={"a": 1}, **nothing)
        assert answer.status_code == 422
        assert answer.json()["errors"][0]["pointer"] == "/variables"
        assert post(echo, variables={}, **nothing).status_code == 200


def test_message_cannot_be_set_as_a_variable(own: httpx.Client) -> None:
    given = {"word": "w", "count": 1, "message": "other"}
    problem = post(own, template="strict", variables=given).json()
    assert [error["pointer"] for error in problem["errors"]] == ["/variables/message"]


@pytest.mark.parametrize(
    "hostile",
    ["{{ 7 * 7 }}", "{% for %}", "{{ message.__class__ }}", "{# no #}", "<|im_end|>", "'\"\\{{"],
)
def test_a_hostile_value_stays_plain_text(own: httpx.Client, hostile: str) -> None:
    given = {"word": hostile, "count": 1}
    assert reply_text(own, template="strict", variables=given, message=hostile) == (
        f"<{hostile} 1 0.5 True > {hostile}"
    )


def test_sampling_of_the_template_holds_where_the_request_is_silent(own: httpx.Client) -> None:
    assert reply_text(own) == "one two three four"
    assert reply_text(own, template="short").split() == ["one", "two"]
    assert reply_text(own, template="short", max_tokens=3).split() == ["one", "two", "three"]
    assert reply_text(own, template="short", max_tokens=9).split() == ["one", "two", "three"]
    assert reply_text(own, template="short", max_tokens=9, stop="three").split() == ["one", "two"]
    assert reply_text(own, template="short", max_tokens=9, stop=[]) == "one two three four"
    assert reply_text(own, template="short", max_tokens=None).split() == ["one", "two"]


def test_an_explicit_system_text_wins(own: httpx.Client) -> None:
    assert prompt_tokens(own, template="short") == 10 + 4
    assert prompt_tokens(own, template="short", system=None) == 10 + 4
    assert prompt_tokens(own, template="short", system="just me") == 2 + 4
    assert prompt_tokens(own, template="short", system="") == 4


def test_history_comes_between_system_and_message(own: httpx.Client) -> None:
    history = [{"role": "user", "content": "a"}, {"role": "assistant", "content": "b c"}]
    assert prompt_tokens(own, template="short", history=history) == 10 + 3 + 4
    too_long = [{"role": "user", "content": "a"}] * 101
    answer = post(own, template="short", history=too_long)
    assert answer.json()["errors"][0]["pointer"] == "/history"


def stream(client: httpx.Client, **body: Any) -> list[SentEvent]:
    answer = client.post("/api/v3/chat/stream", json={"message": "one two three four"} | body)
    assert answer.status_code == 200, answer.text
    return parsed(answer.text)


def test_a_stream_says_the_same_as_the_whole_answer(own: httpx.Client) -> None:
    body: dict[str, Any] = {"template": "strict", "variables": {"word": "w", "count": 1}}
    first, *middle, last = stream(own, **body)
    assert first.name == "message"
    assert first.data.keys() == {"id", "model", "template"}
    assert first.data["template"] == "strict"
    text = "".join(event.data["text"] for event in middle if event.name == "delta")
    whole = post(own, **body).json()
    assert text == whole["message"]["content"]
    assert (last.name, last.data["usage"]) == ("done", whole["usage"])


def test_a_stream_without_a_template_says_null(echo: httpx.Client) -> None:
    assert stream(echo)[0].data["template"] is None


def test_a_stream_refuses_variables_with_a_normal_error(own: httpx.Client) -> None:
    answer = own.post("/api/v3/chat/stream", json={"message": "hi", "template": "strict"})
    assert answer.status_code == 422
    assert [error["pointer"] for error in answer.json()["errors"]] == [
        "/variables/word",
        "/variables/count",
    ]


def test_v3_has_everything_v2_has(echo: httpx.Client) -> None:
    assert echo.get("/api/v3/models").json() == echo.get("/api/v2/models").json()
