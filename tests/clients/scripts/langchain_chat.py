"""A user of LangChain's ChatOpenAI, who knows nothing but the address."""

import sys
from typing import Any, Literal

import openai
from langchain_core.exceptions import ContextOverflowError
from langchain_core.messages import AIMessageChunk, HumanMessage, SystemMessage, ToolMessage
from langchain_core.tools import tool
from langchain_openai import ChatOpenAI
from pydantic import BaseModel
from report import check, main

HELLO = "Hello! What are you?"


def chat(**options: Any) -> ChatOpenAI:
    """The model as a user of LangChain makes it."""
    given = {"model": "starter", "max_tokens": 200, "temperature": 0} | options
    return ChatOpenAI(base_url=f"{sys.argv[1]}/v1", api_key="none", max_retries=0, **given)


class Weather(BaseModel):
    """The weather of a city."""

    city: Literal["Seoul", "Paris"]
    rain: bool


@tool
def get_weather(city: Literal["Seoul", "Paris"]) -> str:
    """Get the weather of a city."""
    return f"21 degrees in {city}"


@tool("get_weather")
def weather_of_seoul(city: Literal["Seoul"]) -> str:
    """For the model whose words are known: it chooses the tool, and the arguments follow."""
    return f"21 degrees in {city}"


@check
def invoke() -> None:
    answer = chat().invoke([SystemMessage("Be brief."), HumanMessage(HELLO)])
    assert answer.content
    assert answer.usage_metadata is not None
    assert answer.usage_metadata["total_tokens"] > answer.usage_metadata["output_tokens"] > 0
    assert answer.response_metadata["model_name"] == "starter"
    assert answer.response_metadata["finish_reason"] in {"stop", "length"}
    assert answer.id


@check
def stream() -> None:
    whole = chat().invoke(HELLO)
    chunks = list(chat(stream_usage=True).stream(HELLO))
    total = chunks[0]
    for chunk in chunks[1:]:
        total += chunk
    assert isinstance(total, AIMessageChunk)
    assert total.content == whole.content
    assert total.usage_metadata == whole.usage_metadata or (
        total.usage_metadata["total_tokens"] == whole.usage_metadata["total_tokens"]
    )


@check
def a_tool_that_is_required() -> None:
    answer = chat().bind_tools([get_weather], tool_choice="any").invoke(HELLO)
    (call, *_) = answer.tool_calls
    assert call["name"] == "get_weather"
    assert not answer.invalid_tool_calls
    result = get_weather.invoke(call)
    assert isinstance(result, ToolMessage)
    others = [get_weather.invoke(other) for other in answer.tool_calls[1:]]
    after = chat().invoke([HumanMessage(HELLO), answer, result, *others])
    assert after.content


@check
def a_tool_that_is_named_in_a_stream() -> None:
    bound = chat().bind_tools([get_weather], tool_choice="get_weather", parallel_tool_calls=False)
    chunks = list(bound.stream(HELLO))
    total = chunks[0]
    for chunk in chunks[1:]:
        total += chunk
    (call,) = total.tool_calls
    assert call["args"]["city"] in {"Seoul", "Paris"}


@check
def a_tool_that_the_model_chooses() -> None:
    bound = chat(model="caller").bind_tools([weather_of_seoul])
    answer = bound.invoke(HELLO)
    assert str(answer.content).strip() == "Let me look."
    assert [call["args"] for call in answer.tool_calls] == [{"city": "Seoul"}]
    chunks = list(bound.stream(HELLO))
    total = chunks[0]
    for chunk in chunks[1:]:
        total += chunk
    assert [call["args"] for call in total.tool_calls] == [{"city": "Seoul"}]


@check
def structured_output_in_each_way() -> None:
    methods: Any = ("json_schema", "function_calling")
    for method in methods:
        structured = chat().with_structured_output(Weather, method=method)
        assert isinstance(structured.invoke(HELLO), Weather), method
    strict = chat().with_structured_output(Weather, method="function_calling", strict=True)
    assert isinstance(strict.invoke(HELLO), Weather)


@check
def structured_output_in_a_stream() -> None:
    parts = list(chat().with_structured_output(Weather).stream(HELLO))
    assert isinstance(parts[-1], Weather)


@check
def json_mode() -> None:
    mode = chat().with_structured_output(method="json_mode")
    try:
        assert isinstance(mode.invoke("Say something in JSON."), dict)
    except openai.LengthFinishReasonError as error:
        assert (error.completion.choices[0].message.content or "").lstrip().startswith("{")


@check
def a_batch() -> None:
    answers = chat(max_tokens=8).batch([HELLO] * 4)
    assert len({answer.content for answer in answers}) == 1


@check
def log_probabilities() -> None:
    answer = chat(max_tokens=4, logprobs=True, top_logprobs=2).invoke(HELLO)
    assert len(answer.response_metadata["logprobs"]["content"]) > 0


@check
def a_prompt_that_is_too_long_is_known_as_such() -> None:
    try:
        chat().invoke("Hello there. " * 20_000)
    except ContextOverflowError as error:
        assert isinstance(error, openai.BadRequestError)
        assert error.code == "context_length_exceeded"
    else:
        raise AssertionError("it was not refused")


if __name__ == "__main__":
    main()
