"""GET /v1/models."""

from __future__ import annotations

import httpx


def test_the_list_names_every_model(echo: httpx.Client) -> None:
    listed = echo.get("/v1/models").json()
    assert listed["object"] == "list"
    found = {each["id"]: each for each in listed["data"]}
    assert {"echo", "echo-vision"} <= found.keys()
    assert found["echo"]["object"] == "model"
    assert isinstance(found["echo"]["created"], int)
    assert isinstance(found["echo"]["owned_by"], str)
    assert found["echo"]["context_length"] > 0
    assert found["echo"]["tasks"] == ["chat"]


def test_one_model_is_as_in_the_list(echo: httpx.Client) -> None:
    listed = echo.get("/v1/models").json()["data"]
    assert all(echo.get(f"/v1/models/{each['id']}").json() == each for each in listed)


def test_health_needs_no_key_and_says_ok(echo: httpx.Client) -> None:
    assert echo.get("/v1/health").json() == {"status": "ok"}
