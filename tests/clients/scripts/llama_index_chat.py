"""A user of LlamaIndex's OpenAILike, who knows nothing but the address."""

import asyncio
import sys
from typing import Any, Literal

from llama_index.core.base.llms.types import ThinkingBlock
from llama_index.core.llms import ChatMessage
from llama_index.core.tools import FunctionTool
from llama_index.llms.openai_like import OpenAILike
from pydantic import BaseModel
from report import check, main

HELLO = "Hello! What are you?"


def model(**options: Any) -> OpenAILike:
    """The model as a user of LlamaIndex makes it."""
    given: dict[str, Any] = {
        "model": "starter",
        "is_chat_model": True,
        "is_function_calling_model": True,
        "context_window": 2048,
        "max_tokens": 200,
        "temperature": 0,
        "max_retries": 0,
    }
    return OpenAILike(api_base=f"{sys.argv[1]}/v1", api_key="none", **given | options)


class Weather(BaseModel):
    """The weather of a city."""

    city: Literal["Seoul", "Paris"]
    rain: bool


def get_weather(city: Literal["Seoul", "Paris"]) -> str:
    """Get the weather of a city."""
    return f"21 degrees in {city}"


def weather_of_seoul(city: Literal["Seoul"]) -> str:
    """For the model whose words are known: it chooses the tool, and the arguments follow."""
    return f"21 degrees in {city}"


ONE_CITY = FunctionTool.from_defaults(weather_of_seoul, name="get_weather")
TOOL = FunctionTool.from_defaults(get_weather)


@check
def chat() -> None:
    turns = [
        ChatMessage(role="system", content="Be brief."),
        ChatMessage(role="user", content=HELLO),
    ]
    answer = model().chat(turns)
    assert answer.message.content
    assert answer.raw.usage.total_tokens > 0


@check
def chat_in_a_stream() -> None:
    turns = [ChatMessage(role="user", content=HELLO)]
    whole = model().chat(turns).message.content
    parts = list(model().stream_chat(turns))
    assert parts[-1].message.content == whole
    assert "".join(part.delta or "" for part in parts) == whole


@check
def chat_that_waits_for_nobody() -> None:
    async def ask() -> list[Any]:
        turns = [ChatMessage(role="user", content=HELLO)]
        return await asyncio.gather(*(model(max_tokens=8).achat(turns) for _ in range(4)))

    assert all(answer.message.content for answer in asyncio.run(ask()))


@check
def completion() -> None:
    assert model(max_tokens=8).complete("Hello").text
    legacy = model(max_tokens=8, is_chat_model=False)
    assert legacy.complete("Hello").text
    parts = list(legacy.stream_complete("Hello"))
    assert parts[-1].text


@check
def a_tool_that_is_required() -> None:
    answer = model().chat_with_tools([TOOL], user_msg=HELLO, tool_required=True)
    (call, *_) = model().get_tool_calls_from_response(answer)
    assert call.tool_name == "get_weather"
    assert call.tool_kwargs["city"] in {"Seoul", "Paris"}


@check
def a_tool_in_a_stream() -> None:
    parts = list(model().stream_chat_with_tools([TOOL], user_msg=HELLO, tool_required=True))
    (call, *_) = model().get_tool_calls_from_response(parts[-1])
    assert call.tool_kwargs["city"] in {"Seoul", "Paris"}


@check
def a_tool_and_its_result() -> None:
    result = model().predict_and_call([TOOL], user_msg=HELLO, tool_required=True)
    assert "21 degrees" in str(result)


@check
def thinking_and_a_tool_that_the_model_chooses() -> None:
    caller = model(model="caller")
    answer = caller.chat_with_tools([ONE_CITY], user_msg=HELLO)
    (call,) = caller.get_tool_calls_from_response(answer)
    assert call.tool_kwargs == {"city": "Seoul"}
    thinking = [block for block in answer.message.blocks if isinstance(block, ThinkingBlock)]
    assert [block.content.strip() for block in thinking] == ["They ask for the weather."]


@check
def structured_output() -> None:
    for schemas in (False, True):
        structured = model(should_use_structured_outputs=schemas).as_structured_llm(Weather)
        turns = [ChatMessage(role="user", content=HELLO)]
        assert isinstance(structured.chat(turns).raw, Weather), schemas


if __name__ == "__main__":
    main()
