"""The server against its own OpenAPI: no 500, nothing undocumented, whatever is sent."""

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
from schemathesis.specs.openapi.checks import positive_data_acceptance

from app import versions
from tests.conftest import serving

v1 = schemathesis.openapi.from_dict(versions.document("v1"))
v2 = schemathesis.openapi.from_dict(versions.document("v2"))
v3 = schemathesis.openapi.from_dict(versions.document("v3"))
v4 = schemathesis.openapi.from_dict(versions.document("v4"))
v5 = schemathesis.openapi.from_dict(versions.document("v5")).include(
    path_regex="/(models|vision|tokens|conversations/.*(images|import))"
)

thorough = settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))


@v1.parametrize()
@thorough
def test_v1_keeps_its_word(case: Case[Any], echo: httpx.Client) -> None:
    case.call_and_validate(base_url=str(echo.base_url))


@v2.parametrize()
@thorough
def test_v2_keeps_its_word(case: Case[Any], echo: httpx.Client) -> None:
    case.call_and_validate(base_url=str(echo.base_url))


@v3.parametrize()
@thorough
def test_v3_keeps_its_word(case: Case[Any], echo: httpx.Client) -> None:
    case.call_and_validate(base_url=str(echo.base_url))


@v4.parametrize()
@thorough
def test_v4_keeps_its_word(case: Case[Any], echo: httpx.Client) -> None:
    # Cursors, trees and fields that exclude each other have rules that no schema can tell: 422.
    case.call_and_validate(base_url=str(echo.base_url), excluded_checks=[positive_data_acceptance])


@pytest.fixture(scope="module")
def without_a_hub(empty_models: Path) -> Iterator[httpx.Client]:
    with serving(models_dir=empty_models, hf_endpoint="http://127.0.0.1:9") as client:
        yield client


@v5.parametrize()
@settings(thorough, max_examples=12)
def test_v5_keeps_its_word(case: Case[Any], without_a_hub: httpx.Client) -> None:
    # No model has the names that are made up here, and the hub is not there: 404, 502.
    left_out: list[Any] = [positive_data_acceptance, not_a_server_error]
    answer = case.call_and_validate(base_url=str(without_a_hub.base_url), excluded_checks=left_out)
    assert answer.status_code != 500
