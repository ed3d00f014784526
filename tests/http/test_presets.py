"""Presets of models in every dialect: how they are listed, what they add, and what wins."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from tests.conftest import link_models, serving
from tests.http.presets import declare, posted
from tests.mcp.connecting import called, connected, data

SYSTEM = "Answer like a pirate would"
"""Five words, which are five tokens of echo."""
QUESTION = "one two three four five six"
ANSWER = "one two three"
CUT = {"max_tokens": 3}
WILD = {"temperature": 2, "top_k": 0, "top_p": 1, "min_p": 0}
DEFAULTS = {"temperature": 0.7, "top_k": 40, "top_p": 0.95, "min_p": 0.05}
USER = {"role": "user", "content": QUESTION}


@pytest.fixture(scope="module")
def models_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("models")
    link_models(folder, "starter.gguf")
    says = {"system": SYSTEM, "sampling": CUT, "description": "Talks like a pirate."}
    declare(folder, "pirate", model="echo", **says)
    declare(folder, "stopping", model="echo", sampling={"stop": ["four"]})
    declare(folder, "cold", model="starter", sampling={"temperature": 0, "max_tokens": 12})
    declare(folder, "wild", model="starter", sampling=WILD | {"max_tokens": 12})
    declare(folder, "orphan", model="nothing")
    declare(folder, "second", model="pirate")
    declare(folder, "vectors", model="echo-embed")
    declare(folder, "misspelt", model="echo", sytem="Hello")
    declare(folder, "echo-vision", model="echo")
    (folder / "cut.preset.json").write_text('{"model": "ec')
    (folder / "deeper").mkdir()
    declare(folder / "deeper", "sly", model="echo")
    return folder


@pytest.fixture(scope="module")
def client(models_dir: Path) -> Iterator[httpx.Client]:
    with serving(models_dir=models_dir, model_aliases={"captain": "pirate"}) as client:
        # A scan has a bounded time, and lists what it could not read yet with a problem.
        assert client.get("/api/v6/models/cold").json()["problem"] is None
        yield client


BROKEN = {
    "orphan": "'nothing' is not here",
    "second": "'pirate' is a preset itself",
    "vectors": "'echo-embed' does not chat",
    "misspelt": "sytem",
    "cut": "It is no preset",
}


@pytest.mark.parametrize("version", [5, 6])
def test_they_are_listed_by_the_api_and_a_damaged_file_costs_only_itself(
    client: httpx.Client, version: int
) -> None:
    found = client.get(f"/api/v{version}/models").json()["models"]
    listed = {one["id"]: one for one in found}
    assert {"pirate", "stopping", "cold", "echo", "starter", *BROKEN} <= listed.keys()
    assert "sly" not in listed
    assert listed["pirate"]["problem"] is None
    assert listed["pirate"]["format"] == "echo"
    assert listed["pirate"]["aliases"] == ["captain"]
    assert listed["cold"]["size_bytes"] == listed["starter"]["size_bytes"]
    for name, problem in BROKEN.items():
        assert problem in listed[name]["problem"]


@pytest.mark.parametrize("version", range(1, 5))
def test_older_versions_list_them_without_those_that_cannot_be_used(
    client: httpx.Client, version: int
) -> None:
    found = client.get(f"/api/v{version}/models").json()["models"]
    ids = {one["id"] for one in found}
    assert {"pirate", "cold", "echo"} <= ids
    assert ids.isdisjoint(BROKEN)


def test_they_are_listed_by_openais_dialect(client: httpx.Client) -> None:
    ids = {one["id"] for one in client.get("/v1/models").json()["data"]}
    assert {"pirate", "pirate@default", "cold"} <= ids
    assert ids.isdisjoint(BROKEN)
    one = client.get("/v1/models/pirate").json()
    assert (one["id"], one["name"], one["engine"]) == ("pirate", "pirate", "echo")
    assert client.get("/v1/models/orphan").json()["engine"] == ""


@pytest.mark.parametrize("name", sorted(BROKEN))
def test_one_that_cannot_be_used_is_refused_with_the_reason(
    client: httpx.Client, name: str
) -> None:
    answer = client.post("/api/v6/chat", json={"message": "hi", "model": name})
    assert answer.status_code == 409
    assert BROKEN[name] in answer.json()["detail"]
    plan = posted(client, f"/api/v6/models/{name}/plan")
    assert not plan["fits"]
    assert BROKEN[name] in plan["reason"]


def test_a_name_that_a_model_has_is_a_conflict(client: httpx.Client) -> None:
    answer = client.post("/api/v6/chat", json={"message": "hi", "model": "echo-vision"})
    assert answer.status_code == 409
    assert "echo-vision.preset.json" in answer.json()["detail"]


@pytest.mark.parametrize("version", range(1, 7))
def test_the_api_answers_with_its_system_text_and_sampling(
    client: httpx.Client, version: int
) -> None:
    found = posted(client, f"/api/v{version}/chat", message=QUESTION, model="pirate")
    assert found["model"] == "pirate"
    assert found["message"]["content"].strip() == ANSWER
    assert found["finish_reason"] == "length"
    assert found["usage"]["prompt_tokens"] == 11


@pytest.mark.parametrize("version", range(1, 7))
def test_the_fields_of_a_request_win(client: httpx.Client, version: int) -> None:
    found = posted(
        client,
        f"/api/v{version}/chat",
        message=QUESTION,
        model="pirate",
        system="Be kind.",
        max_tokens=5,
    )
    assert found["message"]["content"].strip() == "one two three four five"
    assert found["usage"]["prompt_tokens"] == 8


def test_openais_chat(client: httpx.Client) -> None:
    found = posted(client, "/v1/chat/completions", model="pirate", messages=[USER])
    assert found["model"] == "pirate"
    assert found["choices"][0]["message"]["content"].strip() == ANSWER
    assert found["usage"]["prompt_tokens"] == 11
    own = [{"role": "developer", "content": "Be kind."}, USER]
    found = posted(client, "/v1/chat/completions", model="captain", messages=own)
    assert found["usage"]["prompt_tokens"] == 8
    stopped = posted(client, "/v1/chat/completions", model="stopping", messages=[USER])
    assert stopped["choices"][0]["message"]["content"].strip() == ANSWER
    assert stopped["choices"][0]["stop_reason"] == "four"


def test_the_system_text_stands_in_the_prompt(client: httpx.Client) -> None:
    found = posted(client, "/v1/tokenize", model="pirate", messages=[USER], return_token_strs=True)
    assert "".join(found["token_strs"]) == SYSTEM + QUESTION


def test_a_raw_prompt_gets_its_sampling_alone(client: httpx.Client) -> None:
    found = posted(client, "/v1/completions", model="pirate", prompt=QUESTION)
    assert found["choices"][0]["text"].strip() == ANSWER
    assert found["usage"]["prompt_tokens"] == 6


def test_openais_responses(client: httpx.Client) -> None:
    found = posted(client, "/v1/responses", model="pirate", input=QUESTION)
    assert found["model"] == "pirate"
    assert found["output"][0]["content"][0]["text"].strip() == ANSWER
    assert found["usage"]["input_tokens"] == 11
    after = posted(client, "/v1/responses", input=QUESTION, previous_response_id=found["id"])
    assert after["model"] == "pirate"
    assert after["usage"]["input_tokens"] == 11 + 3 + 6


def test_anthropics_messages(client: httpx.Client) -> None:
    body = {"model": "pirate", "messages": [USER]}
    assert posted(client, "/v1/messages/count_tokens", **body) == {"input_tokens": 11}
    found = posted(client, "/v1/messages", **body, max_tokens=50)
    assert found["model"] == "pirate"
    assert found["content"][0]["text"] == QUESTION, "max_tokens is a field of every request"
    assert found["usage"]["input_tokens"] == 11
    stopped = posted(client, "/v1/messages", model="stopping", messages=[USER], max_tokens=50)
    assert stopped["content"][0]["text"].strip() == ANSWER


async def test_the_model_context_protocol(client: httpx.Client) -> None:
    async with connected(client) as mcp:
        listed = {one["id"]: one for one in (await data(mcp, "list_models"))["models"]}
        assert listed["pirate"]["preset_of"] == "echo"
        assert listed["pirate"]["description"] == "Talks like a pirate."
        assert "not here" in listed["orphan"]["problem"]
        found = await called(mcp, "chat", message=QUESTION, model="pirate")
        assert found[0].strip() == ANSWER
        found = await called(mcp, "chat", message=QUESTION, model="pirate", max_tokens=5)
        assert found[0].strip() == "one two three four five"


def test_a_stored_conversation_keeps_to_it(client: httpx.Client) -> None:
    first = posted(client, "/api/v6/chat", message=QUESTION, model="pirate")
    found = posted(client, "/api/v6/chat", message="more", conversation_id=first["conversation_id"])
    assert found["model"] == "pirate"
    assert found["usage"]["prompt_tokens"] == 11 + 3 + 1


def test_it_shares_the_engine_of_its_model(client: httpx.Client) -> None:
    posted(client, "/api/v6/chat", message="hi", model="cold")
    loaded = client.get("/health").json()["models"]
    assert "starter" in loaded
    assert "cold" not in loaded
    found = client.get("/api/v6/models/cold").json()
    assert found["state"] == "ready"
    assert found["memory"] is None, "the memory is that of its model, and counts once"
    assert client.delete("/api/v6/models/cold/load").status_code == 204
    assert client.get("/api/v6/models/starter").json()["state"] == "unloaded"


def test_its_temperature_is_that_of_the_answers(client: httpx.Client) -> None:
    asked = {"message": "What is the sun?", "model": "starter", "max_tokens": 12}
    wanted = posted(client, "/api/v6/chat", **asked, temperature=0)["message"]["content"]
    for _ in range(3):
        found = posted(client, "/api/v6/chat", message="What is the sun?", model="cold")
        assert found["message"]["content"] == wanted
        assert found["usage"]["completion_tokens"] == 12


def test_an_option_that_a_request_sets_to_the_default_wins_too(client: httpx.Client) -> None:
    """The preset draws at random from the whole vocabulary, the defaults do not."""
    asked = {"message": "What is the sun?", "seed": 3}
    plain = posted(client, "/api/v6/chat", **asked, model="starter", max_tokens=12)
    found = posted(client, "/api/v6/chat", **asked, **DEFAULTS, model="wild")
    assert found["message"]["content"] == plain["message"]["content"]
    wild = posted(client, "/api/v6/chat", **asked, model="wild")
    assert wild["message"]["content"] != plain["message"]["content"]


@pytest.mark.parametrize("overflow", ["drop_oldest", "summarise"])
def test_a_shortened_conversation_keeps_its_system_text(models_dir: Path, overflow: str) -> None:
    """Its prompts are as long as those of the model with the same system text."""
    declare(models_dir, "plain", model="echo", system=SYSTEM)
    with serving(models_dir=models_dir, max_history_length=3) as short:
        by_preset = _sizes(short, overflow, model="plain")
        assert by_preset == _sizes(short, overflow, model="echo", system=SYSTEM)


def _sizes(client: httpx.Client, overflow: str, **chosen: str) -> list[int]:
    """Tokens of the prompts of some turns."""
    sizes: list[int] = []
    here: dict[str, str] = {}
    for turn in range(5):
        found = posted(
            client, "/api/v6/chat", message=f"turn {turn}", overflow=overflow, **chosen, **here
        )
        here = {"conversation_id": found["conversation_id"]}
        sizes.append(found["usage"]["prompt_tokens"])
    return sizes


def test_it_may_be_used_with_a_prompt_template(client: httpx.Client) -> None:
    found = posted(client, "/v1/chat/completions", model="pirate@default", messages=[USER])
    assert found["model"] == "pirate@default"
    assert found["choices"][0]["finish_reason"] == "length"


def test_a_file_may_come_change_and_go_while_the_server_runs(
    client: httpx.Client, models_dir: Path
) -> None:
    declare(models_dir, "coming", model="echo", sampling={"max_tokens": 1})
    _wait_for_words(client, 1)
    declare(models_dir, "coming", model="echo", sampling={"max_tokens": 2})
    _wait_for_words(client, 2)
    (models_dir / "coming.preset.json").unlink()
    _wait_for_words(client, 0)


def _wait_for_words(client: httpx.Client, words: int) -> None:
    """Ask until the answer has so many words; 0: until there is no such model."""
    end = time.monotonic() + 60
    while time.monotonic() < end:
        answer = client.post("/api/v6/chat", json={"message": QUESTION, "model": "coming"})
        if not words and answer.status_code == 404:
            return
        if answer.is_success and len(answer.json()["message"]["content"].split()) == words:
            return
        time.sleep(0.1)
    raise AssertionError(answer.text)
