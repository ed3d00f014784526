"""What is pulled of models that see: the eye of a GGUF, and what says how to scale pictures."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from app.provider.hub.errors import NotOnHub
from app.provider.hub.update import check_for_update, records, replace_model
from tests.provider.hub_server import Hub, serving
from tests.provider.pulling import hubs, ignore, plan_of, pull

GGUFS = {
    "Qwen2.5-VL-3B-Instruct-Q4_K_M.gguf": b"small",
    "Qwen2.5-VL-3B-Instruct-f16.gguf": b"large",
    "mmproj-Qwen2.5-VL-3B-Instruct-Q8_0.gguf": b"eye of eight bits",
    "mmproj-Qwen2.5-VL-3B-Instruct-f16.gguf": b"eye",
}


@pytest.fixture
def hub() -> Iterator[Hub]:
    with serving(Hub(dict(GGUFS))) as running:
        yield running


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def test_a_gguf_comes_with_the_file_that_lets_it_see(hub: Hub, tmp_path: Path) -> None:
    folder = pull(hub, tmp_path, "q4_k_m")
    assert folder == tmp_path / "Qwen2.5-VL-3B-Instruct-Q4_K_M"
    assert plan_of(hub, "q4_k_m").id == folder.name
    assert contents(folder) == {
        "Qwen2.5-VL-3B-Instruct-Q4_K_M.gguf": b"small",
        "mmproj-Qwen2.5-VL-3B-Instruct-f16.gguf": b"eye",
    }


def test_an_mmproj_is_no_model_to_choose_from(hub: Hub) -> None:
    with pytest.raises(NotOnHub, match="several models") as refused:
        plan_of(hub)
    assert "mmproj" not in str(refused.value)
    assert [line.split()[0].rpartition(":")[2] for line in str(refused.value).splitlines()[1:]] == [
        "Qwen2.5-VL-3B-Instruct-Q4_K_M.gguf",
        "Qwen2.5-VL-3B-Instruct-f16.gguf",
    ]


def test_an_mmproj_alone_is_brought_by_its_path(hub: Hub, tmp_path: Path) -> None:
    name = "mmproj-Qwen2.5-VL-3B-Instruct-f16.gguf"
    assert pull(hub, tmp_path, name) == tmp_path / name
    assert (tmp_path / name).read_bytes() == b"eye"


def test_each_model_gets_its_own_mmproj(hub: Hub, tmp_path: Path) -> None:
    hub.files = {
        "small-1b-q8.gguf": b"1",
        "large-7b-q8.gguf": b"7",
        "mmproj-small-1b-f32.gguf": b"eye of 1",
        "mmproj-large-7b-f32.gguf": b"eye of 7",
    }
    for name in ("small-1b", "large-7b"):
        assert f"mmproj-{name}-f32.gguf" in contents(pull(hub, tmp_path, f"{name}-q8.gguf"))


def test_parts_in_a_folder_get_the_mmproj_at_the_top(hub: Hub, tmp_path: Path) -> None:
    parts = [f"Q8_0/big-0000{n}-of-00002.gguf" for n in (1, 2)]
    hub.files = {parts[0]: b"1", parts[1]: b"2", "mmproj-F16.gguf": b"eye"}
    found = contents(pull(hub, tmp_path))
    assert sorted(found) == [
        "big-00001-of-00002.gguf",
        "big-00002-of-00002.gguf",
        "mmproj-F16.gguf",
    ]


def test_what_was_pulled_before_it_could_see_stays_one_file(hub: Hub, tmp_path: Path) -> None:
    hub.files = {"model.gguf": b"old"}
    pull(hub, tmp_path)
    hub.commit = "d" * 40
    hub.files = {"model.gguf": b"old", "mmproj-F16.gguf": b"eye"}
    (known,) = records(tmp_path)
    assert check_for_update(hubs(hub), known.plan, tmp_path).state == "up to date"
    hub.files["model.gguf"] = b"new"
    replace_model(
        hubs(hub), tmp_path, check_for_update(hubs(hub), known.plan, tmp_path), lambda _: "", ignore
    )
    assert (tmp_path / "model.gguf").read_bytes() == b"new"


def test_a_folder_brings_how_pictures_are_scaled(hub: Hub, tmp_path: Path) -> None:
    needed = ("preprocessor_config.json", "chat_template.json", "config.json", "tokenizer.json")
    hub.files = dict.fromkeys(needed, b"{}") | {"model.safetensors": b"w", "x.py": b"import os"}
    assert sorted(contents(pull(hub, tmp_path))) == sorted([*needed, "model.safetensors"])
