from __future__ import annotations

import re

import httpx
import pytest

from app import version_router
from app.dialects.documents import documents
from app.reference.html import address

BROWSER = {"Accept": "text/html,application/xhtml+xml,*/*;q=0.8"}


def links(page: str) -> list[str]:
    return re.findall(r"""(?:href|src)=["']([^"']+)["']""", page)


@pytest.mark.parametrize("path", ["/", "/docs", "/redoc"])
def test_a_page_loads_nothing_from_elsewhere(echo: httpx.Client, path: str) -> None:
    page = echo.get(path, headers=BROWSER)
    assert page.headers["content-type"].startswith("text/html")
    assert "http" not in re.sub(r"<pre>.*?</pre>", "", page.text, flags=re.DOTALL)
    policy = page.headers["content-security-policy"].split("; ")
    assert {"default-src 'none'", "script-src 'self'", "connect-src 'self'"} <= set(policy)
    assert links(page.text)
    for link in links(page.text):
        assert echo.get(link).status_code == 200, link


@pytest.mark.parametrize("path", ["/docs", "/redoc"])
def test_every_version_and_dialect_can_be_chosen(echo: httpx.Client, path: str) -> None:
    assert re.findall(r"<option>(\w+)</option>", echo.get(path).text) == [*documents()]
    for version in documents():
        assert echo.get(f"/api/{version}/openapi.json").json()["info"]["version"] == version


def test_the_newest_version_is_shown_first(echo: httpx.Client) -> None:
    assert f'data-newest="{version_router.NAMES[-1]}"' in echo.get("/docs").text


def test_home_is_json_for_programs(echo: httpx.Client) -> None:
    home = echo.get("/").json()
    flat = [home["links"]["docs"], home["links"]["redoc"], *home["links"]["openapi"].values()]
    assert all(echo.get(link).status_code == 200 for link in flat)


def test_every_documented_example_runs(echo: httpx.Client) -> None:
    ran = 0
    for version in ("v1", "v2", "v3"):
        paths = echo.get(f"/api/{version}/openapi.json").json()["paths"]
        for path, operations in paths.items():
            for method, operation in operations.items():
                content = operation.get("requestBody", {}).get("content", {})
                examples = content.get("application/json", {}).get(
                    "examples", {"": {"value": None}}
                )
                for example in examples.values():
                    answer = echo.request(method, address(operation, path), json=example["value"])
                    assert answer.status_code == 200, answer.text
                    ran += 1
    assert ran == 30
