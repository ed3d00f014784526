"""A user of openai-python, who knows nothing but the address: every way in which it asks a chat."""

import asyncio
import json
import sys
import uuid
from functools import partial
from typing import Any, Literal

import openai
from openai import AsyncOpenAI, OpenAI, pydantic_function_tool
from pictures import red_square
from pydantic import BaseModel, Field
from report import check, main

client = OpenAI(base_url=f"{sys.argv[1]}/v1", api_key="none", max_retries=0, timeout=60)
MODEL = "starter"
THOUGHT = "They ask for the weather."
HELLO: list[Any] = [{"role": "user", "content": "Hello! What are you?"}]


class Weather(BaseModel):
    """Small enough for a model that says anything: every value is bounded."""

    city: Literal["Seoul", "Paris"]
    degrees: int = Field(ge=-9, le=40)
    rain: bool


class GetWeather(BaseModel):
    """Get the weather of a city."""

    city: Literal["Seoul", "Paris"]
    unit: Literal["celsius", "fahrenheit"]


class City(BaseModel):
    """For the model whose words are known: it chooses the tool, and the arguments follow."""

    city: Literal["Seoul"]


TOOL = pydantic_function_tool(GetWeather, name="get_weather")
CITY_TOOL = pydantic_function_tool(City, name="get_weather")
NAMED: Any = {"type": "function", "function": {"name": "get_weather"}}


@check
def models_are_listed_and_described() -> None:
    ids = [model.id for model in client.models.list()]
    assert MODEL in ids, ids
    model = client.models.retrieve(MODEL)
    assert (model.id, model.object) == (MODEL, "model")
    assert isinstance(model.created, int)
    assert model.owned_by


@check
def a_whole_answer() -> None:
    answer = client.chat.completions.create(model=MODEL, messages=HELLO, max_tokens=16)
    (choice,) = answer.choices
    assert (answer.object, choice.index, choice.message.role) == ("chat.completion", 0, "assistant")
    assert choice.message.content
    assert choice.finish_reason in {"stop", "length"}
    assert answer.model == MODEL
    assert answer.id
    assert answer._request_id
    assert answer.usage is not None
    assert answer.usage.total_tokens == answer.usage.prompt_tokens + answer.usage.completion_tokens


@check
def the_default_model_answers_and_is_named() -> None:
    answer = client.chat.completions.create(
        messages=HELLO,
        max_tokens=4,
        model=openai.omit,  # type: ignore[arg-type]
    )
    assert answer.model in [model.id for model in client.models.list()]


@check
def a_stream_with_usage() -> None:
    options: Any = {"model": MODEL, "messages": HELLO, "max_tokens": 16, "temperature": 0}
    whole = client.chat.completions.create(**options)
    chunks = list(
        client.chat.completions.create(
            stream=True, stream_options={"include_usage": True}, **options
        )
    )
    text = "".join(c.choices[0].delta.content or "" for c in chunks if c.choices)
    assert text == whole.choices[0].message.content
    assert chunks[0].choices[0].delta.role == "assistant"
    assert not any(c.choices[0].delta.role for c in chunks[1:] if c.choices)
    assert [c for c in chunks if not c.choices] == chunks[-1:]
    assert (
        chunks[-1].usage == whole.usage or chunks[-1].usage.total_tokens == whole.usage.total_tokens
    )
    assert chunks[-2].choices[0].finish_reason == whole.choices[0].finish_reason
    assert len({c.id for c in chunks}) == 1
    assert {c.object for c in chunks} == {"chat.completion.chunk"}


@check
def a_stream_without_usage_ends_with_a_choice() -> None:
    chunks = list(
        client.chat.completions.create(model=MODEL, messages=HELLO, max_tokens=4, stream=True)
    )
    assert all(chunk.choices for chunk in chunks)
    assert chunks[-1].choices[0].finish_reason


@check
def the_stream_helper() -> None:
    with client.chat.completions.stream(
        model=MODEL, messages=HELLO, max_tokens=400, temperature=0
    ) as stream:
        events = list(stream)
        final = stream.get_final_completion()
    kinds = {event.type for event in events}
    assert {"chunk", "content.delta", "content.done"} <= kinds, kinds
    text = "".join(event.delta for event in events if event.type == "content.delta")
    assert text == final.choices[0].message.content


@check
def the_parse_helper() -> None:
    answer = client.chat.completions.parse(
        model=MODEL, messages=HELLO, response_format=Weather, max_tokens=200, temperature=1.5
    )
    parsed = answer.choices[0].message.parsed
    assert isinstance(parsed, Weather)
    assert parsed == Weather.model_validate_json(answer.choices[0].message.content or "")


@check
def the_stream_helper_with_a_schema() -> None:
    with client.chat.completions.stream(
        model=MODEL, messages=HELLO, response_format=Weather, max_tokens=200, temperature=1.5
    ) as stream:
        final = stream.get_final_completion()
    assert isinstance(final.choices[0].message.parsed, Weather)


@check
def an_answer_that_is_cut_is_refused_by_the_parse_helper() -> None:
    try:
        client.chat.completions.parse(
            model=MODEL, messages=HELLO, response_format=Weather, max_tokens=2
        )
    except openai.LengthFinishReasonError as error:
        assert error.completion.choices[0].finish_reason == "length"
    else:
        raise AssertionError("an answer of two tokens was taken as whole")


@check
def any_json_object() -> None:
    answer = client.chat.completions.create(
        model=MODEL, messages=HELLO, response_format={"type": "json_object"}, max_tokens=300
    )
    (choice,) = answer.choices
    if choice.finish_reason == "stop":
        assert isinstance(json.loads(choice.message.content or ""), dict)
    else:
        assert (choice.message.content or "").lstrip().startswith("{")


@check
def a_tool_call_that_is_required() -> None:
    answer = client.chat.completions.create(
        model=MODEL, messages=HELLO, tools=[TOOL], tool_choice="required", max_tokens=200
    )
    (choice,) = answer.choices
    assert choice.finish_reason == "tool_calls"
    calls = choice.message.tool_calls or []
    assert calls
    for call in calls:
        assert call.type == "function"
        assert call.id
        assert call.function.name == "get_weather"
        GetWeather.model_validate_json(call.function.arguments)


@check
def a_tool_call_by_name_and_its_result() -> None:
    answer = client.chat.completions.create(
        model=MODEL,
        messages=HELLO,
        tools=[TOOL],
        tool_choice=NAMED,
        parallel_tool_calls=False,
        max_tokens=200,
    )
    message = answer.choices[0].message
    (call,) = message.tool_calls or []
    # OpenAI ends a call that was forced by name with "stop"; all SDKs take either.
    assert answer.choices[0].finish_reason in {"stop", "tool_calls"}
    assert message.content in {None, ""}
    result = {"role": "tool", "tool_call_id": call.id, "content": '{"degrees": 21}'}
    turns: list[Any] = [*HELLO, message, result]
    after = client.chat.completions.create(
        model=MODEL, messages=turns, tools=[TOOL], tool_choice="none", max_tokens=16
    )
    assert after.choices[0].message.content
    assert not after.choices[0].message.tool_calls
    alone = client.chat.completions.create(model=MODEL, messages=HELLO, max_tokens=1)
    assert after.usage is not None
    assert alone.usage is not None
    assert after.usage.prompt_tokens > alone.usage.prompt_tokens


@check
def a_tool_call_in_a_stream() -> None:
    chunks = client.chat.completions.create(
        model=MODEL,
        messages=HELLO,
        tools=[TOOL],
        tool_choice=NAMED,
        max_tokens=200,
        stream=True,
    )
    deltas = [call for c in chunks for call in (c.choices[0].delta.tool_calls or [])]
    first, *rest = [delta for delta in deltas if delta.index == 0]
    assert first.id
    assert first.type == "function"
    assert first.function is not None
    assert first.function.name == "get_weather"
    assert first.function.arguments == ""
    assert not any(delta.id or delta.function.name for delta in rest if delta.function)
    arguments = "".join(delta.function.arguments or "" for delta in rest if delta.function)
    GetWeather.model_validate_json(arguments)


@check
def the_stream_helper_with_a_tool() -> None:
    with client.chat.completions.stream(
        model=MODEL, messages=HELLO, tools=[TOOL], tool_choice=NAMED, max_tokens=200
    ) as stream:
        events = list(stream)
        final = stream.get_final_completion()
    assert "tool_calls.function.arguments.done" in {event.type for event in events}
    (call, *_) = final.choices[0].message.tool_calls or []
    assert call.function.name == "get_weather"
    assert isinstance(call.function.parsed_arguments, GetWeather)


@check
def the_parse_helper_with_a_tool() -> None:
    answer = client.chat.completions.parse(
        model=MODEL, messages=HELLO, tools=[TOOL], tool_choice="required", max_tokens=200
    )
    (call, *_) = answer.choices[0].message.tool_calls or []
    assert isinstance(call.function.parsed_arguments, GetWeather)


@check
def a_tool_that_the_model_chooses() -> None:
    answer = client.chat.completions.create(
        model="caller", messages=HELLO, tools=[CITY_TOOL], temperature=0
    )
    (choice,) = answer.choices
    assert choice.finish_reason == "tool_calls"
    assert (choice.message.content or "").strip() == "Let me look."
    assert getattr(choice.message, "reasoning_content", "").strip() == THOUGHT
    (call,) = choice.message.tool_calls or []
    assert json.loads(call.function.arguments) == {"city": "Seoul"}


@check
def thinking_and_a_chosen_tool_in_a_stream() -> None:
    with client.chat.completions.stream(
        model="caller", messages=HELLO, tools=[CITY_TOOL], temperature=0
    ) as stream:
        chunks = [event.chunk for event in stream if event.type == "chunk"]
        final = stream.get_final_completion().choices[0].message
    deltas = [chunk.choices[0].delta for chunk in chunks if chunk.choices]
    thinking = "".join(getattr(delta, "reasoning_content", None) or "" for delta in deltas)
    assert thinking.strip() == THOUGHT
    assert (final.content or "").strip() == "Let me look."
    (call,) = final.tool_calls or []
    assert json.loads(call.function.arguments) == {"city": "Seoul"}


@check
def several_answers() -> None:
    answer = client.chat.completions.create(
        model=MODEL, messages=HELLO, n=3, max_tokens=8, temperature=1.2, seed=7
    )
    assert [choice.index for choice in answer.choices] == [0, 1, 2]
    assert all(choice.message.content for choice in answer.choices)


@check
def several_answers_in_a_stream() -> None:
    chunks = client.chat.completions.create(
        model=MODEL, messages=HELLO, n=2, max_tokens=8, stream=True
    )
    ended = [c.choices[0].index for c in chunks if c.choices and c.choices[0].finish_reason]
    assert sorted(ended) == [0, 1]


@check
def log_probabilities() -> None:
    answer = client.chat.completions.create(
        model=MODEL, messages=HELLO, max_tokens=6, temperature=0, logprobs=True, top_logprobs=3
    )
    (choice,) = answer.choices
    assert choice.logprobs is not None
    tokens = choice.logprobs.content or []
    text = b"".join(bytes(token.bytes or []) for token in tokens)
    assert text.decode(errors="ignore").startswith(choice.message.content or "")
    assert all(token.logprob <= 0 for token in tokens)
    assert all(len(token.top_logprobs) == 3 for token in tokens)


@check
def a_seed_says_the_same_again() -> None:
    options: Any = {
        "model": MODEL,
        "messages": HELLO,
        "max_tokens": 12,
        "temperature": 1,
        "seed": 5,
    }
    texts = {client.chat.completions.create(**options).choices[0].message.content for _ in range(2)}
    assert len(texts) == 1


@check
def what_changes_nothing_is_taken() -> None:
    answer = client.chat.completions.create(
        model=MODEL,
        messages=[{"role": "developer", "content": "Be brief."}, *HELLO],
        max_completion_tokens=4,
        frequency_penalty=0.1,
        presence_penalty=0.1,
        logit_bias={"5": -1},
        metadata={"a": "b"},
        prompt_cache_key="key",
        safety_identifier="id",
        service_tier="auto",
        stop=["\n\n"],
        store=False,
        top_p=0.9,
        user="somebody",
        verbosity="low",
    )
    assert answer.choices[0].finish_reason in {"stop", "length"}


@check
def a_legacy_completion() -> None:
    answer = client.completions.create(model=MODEL, prompt="Hello", max_tokens=8)
    assert answer.object == "text_completion"
    assert answer.choices[0].finish_reason in {"stop", "length"}
    chunks = list(client.completions.create(model=MODEL, prompt="Hello", max_tokens=8, stream=True))
    assert chunks[-1].choices[0].finish_reason in {"stop", "length"}
    two = client.completions.create(model=MODEL, prompt=["Hello", "Bye"], max_tokens=4)
    assert [choice.index for choice in two.choices] == [0, 1]


@check
def a_picture() -> None:
    answer = client.chat.completions.create(
        model="starter-vision",
        messages=[
            {
                "role": "user",
                "content": [
                    {"type": "text", "text": "What is it?"},
                    {
                        "type": "image_url",
                        "image_url": {"url": f"data:image/png;base64,{red_square()}"},
                    },
                ],
            }
        ],
        max_tokens=8,
    )
    assert answer.choices[0].message.content


@check
def an_unknown_model_is_not_found() -> None:
    error = refusal(openai.NotFoundError, model="no-such-model", messages=HELLO)
    assert error.code == "model_not_found"


@check
def a_value_out_of_bounds_names_its_parameter() -> None:
    error = refusal(openai.BadRequestError, model=MODEL, messages=HELLO, temperature=9)
    assert error.param == "temperature"
    assert error.type == "invalid_request_error"


@check
def a_prompt_that_is_too_long() -> None:
    turns: list[Any] = [{"role": "user", "content": "Hello there. " * 20_000}]
    error = refusal(openai.BadRequestError, model=MODEL, messages=turns)
    assert error.code == "context_length_exceeded"


@check
def what_is_not_supported_is_refused() -> None:
    error = refusal(
        openai.BadRequestError,
        model=MODEL,
        messages=HELLO,
        modalities=["text", "audio"],
        audio={"voice": "alloy", "format": "wav"},
    )
    assert error.param in {"modalities", "audio"}


def refusal(kind: Any, **options: Any) -> Any:
    """The error with which the chat is refused: what the SDK has for it, with a request id."""
    try:
        client.chat.completions.create(**options)
    except openai.APIStatusError as error:
        assert isinstance(error, kind), repr(error)
        assert error.request_id
        assert error.code is None or isinstance(error.code, str)
        assert error.response.headers.get("x-should-retry") != "true"
        return error
    raise AssertionError("it was not refused")


@check
def a_request_that_is_sent_again_has_the_same_answer() -> None:
    key = {"Idempotency-Key": f"openai-python-{uuid.uuid4()}"}
    asking = partial(client.chat.completions.create, model=MODEL, extra_headers=key)
    one, two = (asking(messages=HELLO, max_tokens=8, temperature=1.5) for _ in range(2))
    assert (one.id, one.choices) == (two.id, two.choices)
    try:
        asking(messages=HELLO, max_tokens=9)
    except openai.UnprocessableEntityError as error:
        assert error.code == "idempotency_key_reused"
    else:
        raise AssertionError("another request had the same key")


@check
def a_stream_may_be_left() -> None:
    for _ in range(3):
        with client.chat.completions.create(
            model=MODEL, messages=HELLO, max_tokens=200, stream=True
        ) as stream:
            next(iter(stream))
    a_whole_answer()


@check
def many_at_once() -> None:
    async def ask() -> list[Any]:
        async with AsyncOpenAI(base_url=client.base_url, api_key="none") as one:
            asked = [
                one.chat.completions.create(model=MODEL, messages=HELLO, max_tokens=8)
                for _ in range(8)
            ]
            return await asyncio.gather(*asked)

    assert all(answer.choices[0].message.content for answer in asyncio.run(ask()))


if __name__ == "__main__":
    main()
