"""The server against its own OpenAPI: no 500, nothing undocumented, whatever is sent.

The documents are fixtures, because requests are made up of them for half a minute: only when these
tests run, not whenever tests are collected.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
import schemathesis
from hypothesis import HealthCheck, settings
from schemathesis import Case
from schemathesis.checks import not_a_server_error
from schemathesis.schemas import BaseSchema
from schemathesis.specs.openapi.checks import negative_data_rejection, positive_data_acceptance

from app.dialects.documents import documents
from tests.conftest import serving
from tests.selection import matrix, selection

pytestmark = pytest.mark.slow


def documented(version: str, config: pytest.Config) -> BaseSchema:
    """A document; values at the borders of each field are sent when everything is."""
    document = schemathesis.openapi.from_dict(documents()[version]())
    document.config.phases.coverage.enabled = selection(config) == "all"
    return document


@pytest.fixture(params=matrix("v1", "v2", "v3"))
def before_v4(request: pytest.FixtureRequest) -> BaseSchema:
    return documented(request.param, request.config)


@pytest.fixture(params=matrix("v4"))
def v4(request: pytest.FixtureRequest) -> BaseSchema:
    return documented(request.param, request.config)


@pytest.fixture
def v5(pytestconfig: pytest.Config) -> BaseSchema:
    return documented("v5", pytestconfig)


@pytest.fixture
def v6(pytestconfig: pytest.Config) -> BaseSchema:
    return documented("v6", pytestconfig)


@pytest.fixture
def openai(pytestconfig: pytest.Config) -> BaseSchema:
    return documented("openai", pytestconfig)


@pytest.fixture
def anthropic(pytestconfig: pytest.Config) -> BaseSchema:
    return documented("anthropic", pytestconfig)


@pytest.fixture
def tool(pytestconfig: pytest.Config) -> BaseSchema:
    return documented("tool", pytestconfig)


made_up = settings(deadline=None, suppress_health_check=list(HealthCheck))
"""So many requests for each operation as ``tests/selection.py`` says."""


def names_a_nul(body: Any) -> bool:
    """Whether a variable's name holds a NUL: refused, but the frozen v3 says so of texts only."""
    variables = body.get("variables") if isinstance(body, dict) else None
    return isinstance(variables, dict) and any("\0" in name for name in variables)


@schemathesis.pytest.from_fixture("before_v4").parametrize()
@made_up
def test_v1_to_v3_keep_their_word(case: Case[Any], echo: httpx.Client) -> None:
    left_out: list[Any] = [positive_data_acceptance] if names_a_nul(case.body) else []
    case.call_and_validate(base_url=str(echo.base_url), excluded_checks=left_out)


@schemathesis.pytest.from_fixture("v4").parametrize()
@made_up
def test_v4_keeps_its_word(case: Case[Any], echo: httpx.Client) -> None:
    # Cursors, trees and fields that exclude each other have rules that no schema can tell: 422.
    case.call_and_validate(base_url=str(echo.base_url), excluded_checks=[positive_data_acceptance])


@schemathesis.pytest.from_fixture("anthropic").parametrize()
@made_up
def test_the_messages_api_keeps_its_word(case: Case[Any], echo: httpx.Client) -> None:
    # Models, tools and pictures that are made up are none: 400, 404.
    case.call_and_validate(base_url=str(echo.base_url), excluded_checks=[positive_data_acceptance])


@schemathesis.pytest.from_fixture("tool").parametrize()
@made_up
def test_the_tool_server_keeps_its_word(case: Case[Any], echo: httpx.Client) -> None:
    # Pictures that are made up are none: 415, 422.
    case.call_and_validate(base_url=str(echo.base_url), excluded_checks=[positive_data_acceptance])


NEW_IN_V6 = "/(chat|messages|tokens|models|vision|conversations/.*images)"
"""What v5 brought is in it: the daily run makes requests up for the newest version alone."""


@pytest.fixture(scope="module")
def without_a_hub(empty_models: Path) -> Iterator[httpx.Client]:
    with serving(models_dir=empty_models, hf_endpoint="http://127.0.0.1:9") as client:
        yield client


new_in_v5 = schemathesis.pytest.from_fixture("v5").include(
    path_regex="/(models|vision|tokens|conversations/.*images)"
)
import_of_v5 = schemathesis.pytest.from_fixture("v5").include(path_regex="/conversations/import")


@pytest.mark.matrix
@new_in_v5.parametrize()
@settings(made_up, max_examples=min(12, made_up.max_examples))
def test_v5_keeps_its_word(case: Case[Any], without_a_hub: httpx.Client) -> None:
    keeps_its_word(case, without_a_hub)


@schemathesis.pytest.from_fixture("v6").include(path_regex=NEW_IN_V6).parametrize()
@settings(made_up, max_examples=min(12, made_up.max_examples))
def test_v6_keeps_its_word(case: Case[Any], without_a_hub: httpx.Client) -> None:
    keeps_its_word(case, without_a_hub)


@pytest.mark.matrix
@import_of_v5.parametrize()
@settings(made_up, max_examples=min(12, made_up.max_examples))
def test_the_import_of_v5_keeps_its_word(case: Case[Any], without_a_hub: httpx.Client) -> None:
    """By itself: to make up a whole conversation takes as long as all the others."""
    keeps_its_word(case, without_a_hub)


def keeps_its_word(case: Case[Any], without_a_hub: httpx.Client) -> None:
    # No model has the names that are made up here, and the hub is not there: 404, 502.
    left_out: list[Any] = [positive_data_acceptance, not_a_server_error]
    answer = case.call(base_url=str(without_a_hub.base_url))
    if answer.status_code == 413:  # more pictures than may be: a refusal that the check misses
        left_out.append(negative_data_rejection)
    case.validate_response(answer, excluded_checks=left_out)
    assert answer.status_code != 500


@schemathesis.pytest.from_fixture("openai").parametrize()
@made_up
def test_the_dialect_of_openai_keeps_its_word(case: Case[Any], echo: httpx.Client) -> None:
    # Messages and tools have rules that no schema can tell: 400. Nor is any model called so: 404.
    left_out: list[Any] = [positive_data_acceptance]
    answer = case.call(base_url=str(echo.base_url))
    if answer.status_code == 413:  # more inputs than a body may hold: a refusal, too
        left_out.append(negative_data_rejection)
    case.validate_response(answer, excluded_checks=left_out)
