"""The server against its own OpenAPI: no 500, nothing undocumented, whatever is sent."""

from __future__ import annotations

from typing import Any

import httpx
import schemathesis
from hypothesis import HealthCheck, settings
from schemathesis import Case
from schemathesis.specs.openapi.checks import positive_data_acceptance

from app import versions

v1 = schemathesis.openapi.from_dict(versions.document("v1"))
v2 = schemathesis.openapi.from_dict(versions.document("v2"))
v3 = schemathesis.openapi.from_dict(versions.document("v3"))
v4 = schemathesis.openapi.from_dict(versions.document("v4"))

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
