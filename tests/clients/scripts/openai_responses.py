"""A user of openai-python's responses and conversations, who knows nothing but the address."""

import sys
import time
from typing import Any, Literal

import openai
from openai import OpenAI
from pictures import red_square
from pydantic import BaseModel, Field
from report import check, main

client = OpenAI(base_url=f"{sys.argv[1]}/v1", api_key="none", max_retries=0, timeout=60)
MODEL = "starter"
HELLO = "Hello! What are you?"


class Weather(BaseModel):
    """Small enough for a model that says anything: every value is bounded."""

    city: Literal["Seoul", "Paris"]
    degrees: int = Field(ge=-9, le=40)


TOOL: Any = {
    "type": "function",
    "name": "get_weather",
    "description": "Get the weather of a city.",
    "strict": True,
    "parameters": {
        "type": "object",
        "properties": {"city": {"type": "string", "enum": ["Seoul", "Paris"]}},
        "required": ["city"],
        "additionalProperties": False,
    },
}


def asked(text: Any = HELLO, **options: Any) -> Any:
    return client.responses.create(model=MODEL, input=text, max_output_tokens=16, **options)


@check
def a_whole_response() -> None:
    made = asked()
    assert made.object == "response"
    assert made.output_text
    assert made.status in {"completed", "incomplete"}
    assert made.usage is not None
    assert made.usage.total_tokens == made.usage.input_tokens + made.usage.output_tokens
    assert made._request_id


@check
def a_stream_of_events() -> None:
    events = list(asked(stream=True, temperature=0))
    assert [event.sequence_number for event in events] == list(range(len(events)))
    assert events[0].type == "response.created"
    text = "".join(e.delta for e in events if e.type == "response.output_text.delta")
    assert text == events[-1].response.output_text == asked(temperature=0).output_text


@check
def the_stream_helper() -> None:
    with client.responses.stream(model=MODEL, input=HELLO, max_output_tokens=400) as stream:
        events = list(stream)
        final = stream.get_final_response()
    assert events[-1].type == "response.completed"
    text = "".join(e.delta for e in events if e.type == "response.output_text.delta")
    assert text == final.output_text


@check
def the_parse_helper() -> None:
    made = client.responses.parse(
        model=MODEL, input=HELLO, text_format=Weather, max_output_tokens=200, temperature=1.5
    )
    assert isinstance(made.output_parsed, Weather)


@check
def the_stream_helper_with_a_schema() -> None:
    options: Any = {"model": MODEL, "input": HELLO, "max_output_tokens": 200}
    with client.responses.stream(text_format=Weather, **options) as stream:
        final = stream.get_final_response()
    assert isinstance(final.output_parsed, Weather)


@check
def a_response_is_read_again_and_deleted() -> None:
    made = asked(metadata={"topic": "demo"}, instructions="Be brief.")
    found = client.responses.retrieve(made.id)
    assert (found.output_text, found.metadata) == (made.output_text, {"topic": "demo"})
    assert found.instructions == "Be brief."
    client.responses.delete(made.id)
    try:
        client.responses.retrieve(made.id)
    except openai.NotFoundError as error:
        assert made.id in str(error)
    else:
        raise AssertionError("it is still there")


@check
def a_response_follows_another_one() -> None:
    first = asked("My name is Alice.")
    second = asked("What is my name?", previous_response_id=first.id)
    assert second.previous_response_id == first.id
    assert second.usage.input_tokens > first.usage.input_tokens
    items = client.responses.input_items.list(second.id).data
    assert [item.type for item in items] == ["message"]


@check
def one_that_is_not_there_cannot_be_followed() -> None:
    try:
        asked(previous_response_id="resp_nothing")
    except openai.BadRequestError as error:
        assert error.code == "previous_response_not_found"
        assert error.param == "previous_response_id"
    else:
        raise AssertionError("it was answered")


@check
def one_that_is_not_stored_is_not_there() -> None:
    made = asked(store=False)
    try:
        client.responses.retrieve(made.id)
    except openai.NotFoundError:
        return
    raise AssertionError("it was stored")


@check
def in_the_background_and_polled() -> None:
    made = asked(background=True)
    assert made.status in {"queued", "in_progress"}
    deadline = time.monotonic() + 60
    while made.status in {"queued", "in_progress"} and time.monotonic() < deadline:
        time.sleep(0.1)
        made = client.responses.retrieve(made.id)
    assert made.status in {"completed", "incomplete"}
    assert made.output_text


@check
def a_stream_in_the_background_is_resumed() -> None:
    first = []
    with asked(background=True, stream=True) as stream:
        for event in stream:
            first.append(event)
            if len(first) == 5:
                break
    name = first[0].response.id
    rest = list(client.responses.retrieve(name, stream=True, starting_after=4))
    every = [*first, *rest]
    assert [event.sequence_number for event in every] == list(range(len(every)))
    text = "".join(e.delta for e in every if e.type == "response.output_text.delta")
    assert text == client.responses.retrieve(name).output_text


@check
def the_stream_helper_resumes() -> None:
    made = client.responses.create(
        model=MODEL, input=HELLO, max_output_tokens=400, background=True, stream=True
    )
    name = next(iter(made)).response.id
    made.close()
    with client.responses.stream(response_id=name) as stream:
        final = stream.get_final_response()
    assert final.id == name
    assert final.output_text == client.responses.retrieve(name).output_text


@check
def one_in_the_background_is_cancelled() -> None:
    made = client.responses.create(
        model="echo", input="one two three four five " * 500, background=True
    )
    stopped = client.responses.cancel(made.id)
    assert stopped.status in {"cancelled", "completed"}
    assert client.responses.retrieve(made.id).status == stopped.status


@check
def tools_are_called_and_answered() -> None:
    options: Any = {"model": MODEL, "tools": [TOOL], "max_output_tokens": 200}
    made = client.responses.create(input=HELLO, tool_choice="required", **options)
    calls = [item for item in made.output if item.type == "function_call"]
    assert calls
    assert {call.name for call in calls} == {"get_weather"}
    results: Any = [
        {"type": "function_call_output", "call_id": call.call_id, "output": "21 degrees"}
        for call in calls
    ]
    after = client.responses.create(
        input=results, previous_response_id=made.id, tool_choice="none", **options
    )
    assert after.output_text
    turns: Any = [{"role": "user", "content": HELLO}, *made.output, *results]
    again = client.responses.create(input=turns, store=False, tool_choice="none", **options)
    assert again.usage is not None


@check
def thinking_and_a_call_are_streamed_as_items() -> None:
    tool: Any = TOOL | {"strict": False}
    with client.responses.stream(model="caller", input=HELLO, tools=[tool]) as stream:
        kinds = [event.type for event in stream]
        final = stream.get_final_response()
    assert [item.type for item in final.output][:3] == ["reasoning", "message", "function_call"]
    assert "response.reasoning_text.delta" in kinds
    assert "response.function_call_arguments.done" in kinds
    kept = client.responses.retrieve(final.id).output
    assert [item.id for item in kept] == [item.id for item in final.output]


@check
def a_picture_is_taken() -> None:
    url = f"data:image/png;base64,{red_square()}"
    content: Any = [
        {"type": "input_text", "text": "What is this?"},
        {"type": "input_image", "image_url": url, "detail": "auto"},
    ]
    made = client.responses.create(
        model="starter-vision",
        input=[{"role": "user", "content": content}],
        max_output_tokens=16,
    )
    assert made.output_text


@check
def tokens_are_counted() -> None:
    counted = client.responses.input_tokens.count(model=MODEL, input=HELLO)
    made = asked()
    assert counted.input_tokens == made.usage.input_tokens


@check
def probabilities_of_tokens() -> None:
    made = asked(include=["message.output_text.logprobs"], top_logprobs=2)
    (item,) = made.output
    logprobs = item.content[0].logprobs
    assert logprobs
    assert all(len(token.top_logprobs) == 2 for token in logprobs)


@check
def a_conversation_and_its_items() -> None:
    made = client.conversations.create(
        metadata={"topic": "demo"},
        items=[{"type": "message", "role": "user", "content": "My name is Alice."}],
    )
    assert client.conversations.retrieve(made.id).metadata == {"topic": "demo"}
    client.conversations.update(made.id, metadata={"topic": "other"})
    answered = asked("What is my name?", conversation=made.id)
    assert answered.conversation.id == made.id
    client.conversations.items.create(
        made.id, items=[{"type": "message", "role": "user", "content": "Thanks."}]
    )
    items = list(client.conversations.items.list(made.id, order="asc", limit=2))
    assert [item.role for item in items] == ["user", "user", "assistant", "user"]
    one = client.conversations.items.retrieve(items[0].id, conversation_id=made.id)
    assert one.content[0].text == "My name is Alice."
    client.conversations.items.delete(items[-1].id, conversation_id=made.id)
    assert len(list(client.conversations.items.list(made.id))) == len(items) - 1
    assert client.conversations.delete(made.id).deleted


@check
def a_stored_item_is_named_in_place_of_being_sent_again() -> None:
    first = asked()
    turns: Any = [
        {"role": "user", "content": HELLO},
        {"type": "item_reference", "id": first.output[0].id},
        {"role": "user", "content": "And what else?"},
    ]
    made = asked(turns)
    again = asked("And what else?", previous_response_id=first.id)
    assert made.usage.input_tokens == again.usage.input_tokens


@check
def a_prompt_that_is_too_long_is_named() -> None:
    try:
        client.responses.create(model=MODEL, input="word " * 100_000)
    except openai.BadRequestError as error:
        assert error.code == "context_length_exceeded"
    else:
        raise AssertionError("it was taken")


if __name__ == "__main__":
    main()
