from __future__ import annotations

from pathlib import Path

import httpx
import pytest

from tests.conftest import serving
from tests.postgres import Cluster
from tests.provider.asking import STARTER
from tests.provider.model_files import write_gguf


def test_a_well_server_says_so(echo: httpx.Client) -> None:
    echo.post("/api/v1/chat", json={"message": "hi"})
    answer = echo.get("/health")
    assert answer.status_code == 200
    model = answer.json()["models"]["echo"]
    assert (answer.json()["status"], model["state"], model["healthy"]) == ("ok", "ready", True)
    assert answer.json()["database"] == "ok"
    assert model["idle_seconds"] >= 0
    assert "pid" not in model
    assert echo.head("/health").status_code == 200


def test_it_tells_how_fast_a_model_answers(empty_models: Path) -> None:
    with serving(models_dir=empty_models, sllm_model_path=STARTER) as client:
        body = {"message": "How do I stream?", "max_tokens": 20}
        client.post("/api/v1/chat", json=body | {"max_tokens": 1})
        model = client.get("/health").json()["models"]["starter"]
        assert (model["tokens_per_second"], model["cache_hit_rate"]) == (None, 0)
        assert 0 < model["time_to_first_token_seconds"] < 60
        for _ in range(3):
            client.post("/api/v1/chat", json=body)
        model = client.get("/health").json()["models"]["starter"]
    assert 1 < model["tokens_per_second"] < 100_000
    assert 0.5 < model["cache_hit_rate"] < 1
    assert model["memory_bytes"] > 10 * 2**20
    assert (model["waiting"], model["restarts"]) == (0, 0)


def test_a_server_without_any_model_lives_and_says_what_is_missing(empty_models: object) -> None:
    with serving(models_dir=empty_models, enable_echo=False) as client:
        assert client.get("/health").json() == {
            "status": "ok",
            "database": "ok",
            "models": {},
        }
        assert client.get("/health/live").json() == {"status": "ok"}
        refused = client.post("/api/v1/chat", json={"message": "hi"})
        assert (refused.status_code, refused.json()["code"]) == (404, "model-not-found")
        assert client.get("/api/v1/models").json() == {"models": []}


def test_a_bad_file_is_unhealthy_only_where_a_setting_names_it(tmp_path: Path) -> None:
    for name in ("starter", "other"):
        write_gguf(tmp_path / f"{name}.gguf")  # a whole file, of which no engine makes sense
    with serving(models_dir=tmp_path, enable_echo=False) as client:
        assert client.post("/api/v1/chat", json={"message": "hi"}).status_code == 409
        assert client.get("/health").status_code == 200
        assert client.get("/health").json()["models"]["starter"]["problem"]
    named = tmp_path / "other.gguf"
    with serving(models_dir=tmp_path, enable_echo=False, sllm_model_path=named) as client:
        assert client.post("/api/v1/chat", json={"message": "hi"}).status_code == 409
        assert client.get("/health").status_code == 503
        assert client.get("/health").json()["models"]["other"]["problem"]
    with serving(models_dir=tmp_path, sllm_model_path=STARTER) as client:
        (tmp_path / "starter.gguf").unlink()
        asked = client.post("/api/v1/chat", json={"message": "hi", "model": "other"})
        assert asked.json()["code"] == "model-not-loadable"
        assert client.get("/health").status_code == 200
        assert client.get("/health").json()["models"]["other"]["state"] == "failed"


@pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)
def test_a_server_whose_database_is_gone_is_unhealthy_until_it_is_back(
    database_url: str, postgres: Cluster, empty_models: Path
) -> None:
    with serving(models_dir=empty_models, database_url=database_url) as client:
        assert client.get("/health").json()["database"] == "ok"
        postgres.stop()
        try:
            answer = client.get("/health")
            assert (answer.status_code, answer.json()["status"]) == (503, "unhealthy")
            assert answer.json()["database"] == "The database cannot be reached: try again."
            assert client.get("/health/live").status_code == 200
        finally:
            postgres.start()
        assert client.get("/health").json()["database"] == "ok"
