"""The server against its own OpenAPI: no 500, nothing undocumented, whatever is sent."""

from __future__ import annotations

from typing import Any

import httpx
import schemathesis
from hypothesis import HealthCheck, settings
from schemathesis import Case

from app import versions

v1 = schemathesis.openapi.from_dict(versions.document("v1"))
v2 = schemathesis.openapi.from_dict(versions.document("v2"))

thorough = settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))


@v1.parametrize()
@thorough
def test_v1_keeps_its_word(case: Case[Any], echo: httpx.Client) -> None:
    case.call_and_validate(base_url=str(echo.base_url))


@v2.parametrize()
@thorough
def test_v2_keeps_its_word(case: Case[Any], echo: httpx.Client) -> None:
    case.call_and_validate(base_url=str(echo.base_url))
