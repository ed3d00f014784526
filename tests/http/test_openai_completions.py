"""POST /v1/completions, /v1/tokenize and /v1/detokenize: texts without a chat template."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from app.openai.models.answers import ChatCompletion, ChatCompletionChunk
from app.openai.models.completions import Completion
from tests.http.openai_wire import (
    COMPLETIONS,
    INFILL,
    Object,
    checked,
    chunks_of,
    completed,
    error_of,
    texts,
    tokens_of,
)


def streamed(client: httpx.Client, **options: Any) -> list[Object]:
    answer = client.post(COMPLETIONS, json={"prompt": "one two", "stream": True} | options)
    assert answer.status_code == 200, answer.text
    return [checked(Completion, chunk) for chunk in chunks_of(answer.text)]


def test_a_whole_answer(echo: httpx.Client) -> None:
    answer = completed(echo)
    assert answer["id"].startswith("cmpl-")
    assert answer["model"] == "echo"
    assert texts(answer) == ["one two"]
    assert answer["choices"][0]["finish_reason"] == "stop"
    assert answer["usage"]["total_tokens"] == 4


def test_several_prompts_have_their_answers_in_order(echo: httpx.Client) -> None:
    answer = completed(echo, prompt=["a", "b c"], n=2)
    assert texts(answer) == ["a", "a", "b c", "b c"]
    assert [choice["index"] for choice in answer["choices"]] == [0, 1, 2, 3]
    assert answer["usage"]["prompt_tokens"] == 3
    assert answer["usage"]["completion_tokens"] == 6


def test_more_answers_than_are_made_at_once(echo: httpx.Client) -> None:
    words = [f"word{number}" for number in range(20)]
    assert texts(completed(echo, prompt=words)) == words
    found = dict.fromkeys(range(20), "")
    for chunk in streamed(echo, prompt=words):
        (choice,) = chunk["choices"]
        found[choice["index"]] += choice["text"]
    assert [*found.values()] == words


def test_the_prompt_may_come_first(echo: httpx.Client) -> None:
    assert texts(completed(echo, echo=True, prompt=["a ", "b "])) == ["a a ", "b b "]
    pieces = [texts(chunk)[0] for chunk in streamed(echo, echo=True, prompt="a ")]
    assert "".join(pieces) == "a a "


def test_a_stream_ends_with_a_reason_and_the_usage(echo: httpx.Client) -> None:
    *chunks, last = streamed(echo, stream_options={"include_usage": True}, logprobs=0)
    assert "".join(texts(chunk)[0] for chunk in chunks) == "one two"
    assert [c["choices"][0]["finish_reason"] for c in chunks] == [None] * (len(chunks) - 1) + [
        "stop"
    ]
    assert last["choices"] == []
    assert last["usage"] == completed(echo)["usage"]
    logprobs = [found for chunk in chunks if (found := chunk["choices"][0]["logprobs"])]
    assert [offset for found in logprobs for offset in found["text_offset"]] == [0, 4]


def test_tokens_are_the_models_own(echo: httpx.Client) -> None:
    found = tokens_of(echo, prompt="one two", return_token_strs=True)
    assert found["count"] == 2
    assert found["token_strs"] == ["one ", "two"]
    assert texts(completed(echo, prompt=found["tokens"])) == ["one two"]
    assert texts(completed(echo, prompt=[found["tokens"]] * 2, echo=True)) == ["one twoone two"] * 2
    text = echo.post("/v1/detokenize", json={"tokens": found["tokens"]}).json()
    assert text == {"prompt": "one two", "content": "one two"}


def test_a_chat_is_tokenised_too(echo: httpx.Client) -> None:
    messages = [{"role": "user", "content": "one two"}]
    assert tokens_of(echo, messages=messages)["token_strs"] is None
    assert (
        tokens_of(echo, messages=messages)["tokens"] == tokens_of(echo, content="one two")["tokens"]
    )


@pytest.mark.parametrize(
    ("options", "param"),
    [
        ({"prompt": None}, "prompt"),
        ({"prompt": []}, "prompt"),
        ({"prompt": 1}, "prompt"),
        ({"prompt": ["a", 1]}, "prompt[1]"),
        ({"prompt": [1, -1]}, "prompt[1]"),
        ({"prompt": ["a"] * 65}, "prompt"),
        ({"best_of": 2}, "best_of"),
        ({"echo": True, "logprobs": 1}, None),
        ({"prompt": [1], "suffix": "x"}, None),
        ({"prompt": [2**31 - 1]}, None),
        ({"logprobs": 21}, "logprobs"),
        ({"messages": []}, "messages"),
    ],
)
def test_what_makes_no_sense_is_refused(
    echo: httpx.Client, options: dict[str, Any], param: str | None
) -> None:
    answer = echo.post(COMPLETIONS, json={"prompt": "a"} | options)
    assert error_of(answer)[:2] == (400, "invalid_request_error"), answer.text
    assert answer.json()["error"]["param"] == param


# ---------------------------------------------------------------- editors


def test_a_gap_is_answered_as_a_chat_is(echo: httpx.Client) -> None:
    body = {"model": "echo", "prompt": "one two", "suffix": "", "max_tokens": 1, "min_tokens": 0}
    whole = checked(ChatCompletion, echo.post(INFILL, json=body).json())
    (choice,) = whole["choices"]
    assert (choice["message"]["content"], choice["finish_reason"]) == ("one ", "length")
    answer = echo.post(INFILL, json={**body, "stream": True})
    chunks = [checked(ChatCompletionChunk, chunk) for chunk in chunks_of(answer.text)]
    pieces = [chunk["choices"][0]["delta"].get("content", "") for chunk in chunks]
    assert "".join(pieces) == "one "


def test_a_least_length_is_refused(echo: httpx.Client) -> None:
    answer = echo.post(INFILL, json={"prompt": "a", "min_tokens": 3})
    assert answer.json()["error"]["param"] == "min_tokens"


@pytest.mark.parametrize("body", [{}, {"prompt": "a", "messages": []}])
def test_exactly_one_thing_is_tokenised(echo: httpx.Client, body: dict[str, Any]) -> None:
    assert error_of(echo.post("/v1/tokenize", json=body))[0] == 400
