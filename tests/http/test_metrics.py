"""What ``/metrics`` exports, and whether the dashboard and the page about it agree with that."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from prometheus_client.openmetrics import parser as openmetrics
from prometheus_client.parser import text_string_to_metric_families

from tests.conftest import serving
from tests.provider.asking import STARTER
from tests.provider.model_files import write_gguf

DOCS = Path(__file__).parents[2] / "docs"
DASHBOARD = json.loads((DOCS / "grafana-dashboard.json").read_text())
PAGE = (DOCS / "monitoring.md").read_text()
NAME = re.compile(r"\b(?:sllm|process)_[a-z_]+")
LABELS = re.compile(r"by \(([a-z, ]+)\)|(\w+)=~?\"")
KEY = "a-long-secret"
OPENMETRICS = "application/openmetrics-text; version=1.0.0"

Samples = dict[tuple[str, frozenset[tuple[str, str]]], float]


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[httpx.Client]:
    """One that has answered, cut off, refused, failed and met an unknown address."""
    folder = tmp_path_factory.mktemp("models")
    write_gguf(folder / "broken.gguf")
    chosen: dict[str, Any] = {
        "sllm_model_path": STARTER,
        "api_keys": (KEY,),
        "llm_model_cache_size": 3,
    }
    with serving(models_dir=folder, **chosen) as client:
        client.headers["Authorization"] = f"Bearer {KEY}"
        for body in (
            {"message": "hello there", "model": "echo"},
            {"message": "one two three", "model": "echo", "max_tokens": 2},
            {"message": "word " * 5000, "model": "echo"},
            {"message": "hello", "model": "broken"},
            {"message": "How do I stream?", "model": "starter", "max_tokens": 20},
            {"message": "How do I stream?", "model": "starter", "max_tokens": 20},
        ):
            client.post("/api/v1/chat", json=body)
        client.get("/nothing")
        client.request("PROPFIND", "/health")
        yield client


def scraped(client: httpx.Client) -> Samples:
    text = client.get("/metrics").text
    return {
        (sample.name, frozenset(sample.labels.items())): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def value(samples: Samples, name: str, **labels: str) -> float:
    return samples[name, frozenset(labels.items())]


def names(samples: Samples) -> set[str]:
    return {name for name, _ in samples}


def expressions() -> list[str]:
    """Every PromQL expression of the dashboard."""
    found = [target["expr"] for panel in panels() for target in panel["targets"]]
    return found + [variable["definition"] for variable in DASHBOARD["templating"]["list"]]


def panels() -> list[dict[str, Any]]:
    return [panel for panel in DASHBOARD["panels"] if panel["type"] != "row"]


def test_requests_are_counted_by_how_they_ended(server: httpx.Client) -> None:
    samples = scraped(server)

    def ended(model: str, outcome: str, code: str = "") -> float:
        return value(samples, "sllm_requests_total", model=model, outcome=outcome, code=code)

    assert ended("echo", "stop") == 1
    assert ended("echo", "length") == 1
    assert ended("echo", "refused", "context-length-exceeded") == 1
    assert ended("echo", "cancelled") == 0
    assert ended("broken", "failed", "model-not-loadable") == 1


def test_tokens_and_times_are_those_of_the_answers(server: httpx.Client) -> None:
    samples = scraped(server)
    assert value(samples, "sllm_prompt_tokens_total", model="echo") == 2 + 3
    assert value(samples, "sllm_completion_tokens_total", model="echo") == 2 + 2
    assert value(samples, "sllm_completion_tokens_total", model="starter") > 2
    assert value(samples, "sllm_cached_tokens_total", model="starter") > 0
    assert value(samples, "sllm_time_to_first_token_seconds_count", model="starter") == 2
    assert value(samples, "sllm_time_to_first_token_seconds_sum", model="starter") > 0
    assert value(samples, "sllm_decode_seconds_total", model="starter") > 0


def test_engines_tell_their_state_and_memory(server: httpx.Client) -> None:
    samples = scraped(server)
    assert value(samples, "sllm_model_state", model="starter", state="ready") == 1
    assert value(samples, "sllm_model_state", model="starter", state="loading") == 0
    assert value(samples, "sllm_model_state", model="broken", state="failed") == 1
    assert value(samples, "sllm_model_load_seconds_count", model="starter") == 1
    assert value(samples, "sllm_model_load_seconds_count", model="broken") == 0
    held = value(samples, "sllm_engine_memory_bytes", model="starter")
    predicted = value(samples, "sllm_engine_predicted_memory_bytes", model="starter")
    assert 10 * 2**20 < held < 2 * 2**30
    assert predicted > 10 * 2**20


def test_the_server_tells_of_itself(server: httpx.Client) -> None:
    samples = scraped(server)
    assert value(samples, "sllm_database_up") == 1
    assert value(samples, "sllm_http_requests_total", method="GET", status="404") == 1
    assert value(samples, "sllm_http_requests_total", method="other", status="405") == 1
    assert value(samples, "process_resident_memory_bytes") > 2**20
    assert 0 <= value(samples, "sllm_event_loop_lag_seconds") < 10


def test_names_follow_the_rules(server: httpx.Client) -> None:
    families = list(text_string_to_metric_families(server.get("/metrics").text))
    assert len({family.name for family in families}) == len(families)
    for family in families:
        assert family.documentation.endswith("."), family.name
        if family.type == "counter":
            assert all(sample.name.endswith("_total") for sample in family.samples)
        units = {word for word in ("seconds", "bytes", "tokens") if word in family.name}
        assert not units or family.name.endswith(tuple(units)), family.name


def test_openmetrics_is_spoken_to_who_asks(server: httpx.Client) -> None:
    answer = server.get("/metrics", headers={"Accept": OPENMETRICS})
    assert answer.headers["content-type"].startswith(OPENMETRICS)
    assert answer.text.endswith("# EOF\n")
    families = list(openmetrics.text_string_to_metric_families(answer.text))  # type: ignore[no-untyped-call]
    assert "sllm_requests" in {family.name for family in families}
    plain = server.get("/metrics").headers["content-type"]
    assert plain == "text/plain; version=0.0.4; charset=utf-8"


def test_a_key_is_needed_where_there_are_keys(server: httpx.Client) -> None:
    refused = httpx.get(server.base_url.join("/metrics"), timeout=60)
    assert (refused.status_code, refused.json()["code"]) == (401, "api-key-required")


def test_it_belongs_to_no_version(server: httpx.Client) -> None:
    for version in ("v1", "v4"):
        assert "metrics" not in server.get(f"/api/{version}/openapi.json").text


def test_a_model_that_left_keeps_its_counts(empty_models: Path) -> None:
    with serving(models_dir=empty_models, sllm_model_path=STARTER, llm_model_cache_size=1) as it:
        for model in ("echo", "starter"):
            it.post("/api/v1/chat", json={"model": model, "message": "hi", "max_tokens": 2})
        samples = scraped(it)
    assert value(samples, "sllm_model_state", model="echo", state="unloaded") == 1
    assert value(samples, "sllm_requests_total", model="echo", outcome="stop", code="") == 1
    assert ("sllm_engine_memory_bytes", frozenset({("model", "echo")})) not in samples


def test_a_model_for_which_there_is_no_room_counts_as_refused(empty_models: Path) -> None:
    chosen: dict[str, Any] = {"sllm_model_path": STARTER, "llm_model_cache_size": 1}
    with serving(models_dir=empty_models, llm_auto_unload_models=False, **chosen) as client:
        assert client.post("/api/v1/chat", json={"message": "hi"}).status_code == 200
        body = {"model": "echo", "message": "hi"}
        assert client.post("/api/v1/chat", json=body).status_code == 429
        samples = scraped(client)
    labels = {"model": "echo", "outcome": "refused", "code": "engine-busy"}
    assert value(samples, "sllm_requests_total", **labels) == 1


@pytest.mark.parametrize("expression", expressions())
def test_the_dashboard_asks_for_what_there_is(expression: str, server: httpx.Client) -> None:
    samples = scraped(server)
    asked = set(NAME.findall(expression))
    assert asked <= names(samples)
    labels = {label for _, pairs in samples for label, _ in pairs} | {"instance"}
    used_labels = [
        found.strip() for pair in LABELS.findall(expression) for found in ",".join(pair).split(",")
    ]
    assert set(filter(None, used_labels)) <= labels
    assert expression.count("(") == expression.count(")")


def test_the_dashboard_shows_every_figure_once_per_place(server: httpx.Client) -> None:
    shown = {name for expression in expressions() for name in NAME.findall(expression)}
    families = text_string_to_metric_families(server.get("/metrics").text)
    hidden = [
        family.name for family in families if not any(n.startswith(family.name) for n in shown)
    ]
    assert hidden == []
    places = [tuple(panel["gridPos"].values()) for panel in DASHBOARD["panels"]]
    assert len(set(places)) == len(places)
    ids = [panel["id"] for panel in DASHBOARD["panels"]]
    assert len(set(ids)) == len(ids)


def test_the_dashboard_can_be_imported_anywhere() -> None:
    (source,) = DASHBOARD["__inputs"]
    assert DASHBOARD["schemaVersion"] >= 30
    for panel in panels():
        assert panel["description"].endswith(".")
        assert panel["datasource"]["uid"] == f"${{{source['name']}}}"
    needed = {one["id"] for one in DASHBOARD["__requires"] if one["type"] == "panel"}
    assert needed == {panel["type"] for panel in panels()}


def test_every_figure_is_explained(server: httpx.Client) -> None:
    explained = set(re.findall(r"^\| `((?:sllm|process)_\w+)` \| .+\.", PAGE, re.MULTILINE))
    families = text_string_to_metric_families(server.get("/metrics").text)
    exported = {f"{one.name}_total" if one.type == "counter" else one.name for one in families}
    assert explained == exported
    assert set(NAME.findall(PAGE)) - exported <= names(scraped(server))


def test_every_field_of_health_is_explained(server: httpx.Client) -> None:
    part = PAGE.partition("## In /health")[2].partition("##")[0]
    shown = server.get("/health").json()["models"]["echo"]
    assert set(re.findall(r"`([a-z_]+)`", part)) - {"null"} == set(shown)
