"""A user of LiteLLM, through which aider and many agents ask, who knows nothing but the address."""

import json
import os
import sys
from typing import Any

os.environ["LITELLM_LOCAL_MODEL_COST_MAP"] = "True"  # or it asks the network for prices

import litellm
from report import check, main

litellm.suppress_debug_info = True  # it prints that beside the outcome
HELLO = [{"role": "user", "content": "Hello! What are you?"}]
PARAMETERS = {
    "type": "object",
    "properties": {"city": {"type": "string", "enum": ["Seoul", "Paris"]}},
    "required": ["city"],
    "additionalProperties": False,
}
TOOL = {"type": "function", "function": {"name": "get_weather", "parameters": PARAMETERS}}


def ask(model: str = "openai/starter", **options: Any) -> Any:
    """What aider calls, with a server's address."""
    path = "" if model.startswith("anthropic/") else "/v1"
    given: dict[str, Any] = {"messages": HELLO, "max_tokens": 200, "temperature": 0} | options
    return litellm.completion(
        model=model, api_base=f"{sys.argv[1]}{path}", api_key="none", num_retries=0, **given
    )


@check
def a_whole_answer() -> None:
    answer = ask()
    assert answer.choices[0].message.content
    assert answer.usage.total_tokens > answer.usage.completion_tokens > 0


@check
def a_stream() -> None:
    chunks = list(ask(stream=True, stream_options={"include_usage": True}))
    text = "".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices)
    assert text == ask().choices[0].message.content
    assert chunks[-1].usage.completion_tokens > 0


@check
def a_tool_that_is_required() -> None:
    (call, *_) = ask(tools=[TOOL], tool_choice="required").choices[0].message.tool_calls
    assert json.loads(call.function.arguments)["city"] in {"Seoul", "Paris"}


@check
def structured_output() -> None:
    schema = {"name": "weather", "strict": True, "schema": PARAMETERS}
    answer = ask(response_format={"type": "json_schema", "json_schema": schema})
    assert json.loads(answer.choices[0].message.content)["city"] in {"Seoul", "Paris"}


@check
def thinking_is_apart() -> None:
    message = ask("openai/caller").choices[0].message
    assert message.reasoning_content.strip() == "They ask for the weather."
    assert message.content.startswith("Let me look.")


@check
def a_prompt_that_is_too_long_is_known_as_such() -> None:
    for model in ("openai/starter", "anthropic/starter"):
        try:
            ask(model, messages=[{"role": "user", "content": "Hello there. " * 20_000}])
        except litellm.ContextWindowExceededError:
            continue
        raise AssertionError(f"{model}: it was not refused")


@check
def an_unknown_model_is_not_found() -> None:
    try:
        ask("openai/no-such-model")
    except litellm.NotFoundError:
        return
    raise AssertionError("it was not refused")


@check
def a_message_to_anthropic() -> None:
    answer = ask("anthropic/starter")
    assert answer.choices[0].message.content
    chunks = list(ask("anthropic/starter", stream=True))
    text = "".join(chunk.choices[0].delta.content or "" for chunk in chunks)
    assert text == answer.choices[0].message.content


if __name__ == "__main__":
    main()
