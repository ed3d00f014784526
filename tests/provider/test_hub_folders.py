"""Models of several files: folders, and GGUF files that were cut up."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from app.provider.hub.download import fetch
from app.provider.hub.errors import Damaged, NameTaken, NotOnHub
from tests.provider.hub_server import REPO, Hub, serving
from tests.provider.pulling import (
    CHUNK,
    command,
    hubs,
    ignore,
    kill_when,
    left_over,
    plan_of,
    pull,
)

pytestmark = pytest.mark.slow

WEIGHTS = bytes(range(256)) * (2 * CHUNK // 256)
SAFETENSORS = {
    "config.json": b"{}",
    "model-00001-of-00002.safetensors": b"1",
    "model-00002-of-00002.safetensors": WEIGHTS,
    "model.safetensors.index.json": b"{ }",
    "preprocessor_config.json": b"{}",
    "processor_config.json": b"{}",
    "tokenizer.json": b"[]",
    "tokenizer.model": b"m",
    "chat_template.jinja": b"{{ messages }}",
    "LICENSE": b"Do what you like.",
}
EVIL = {
    "modeling_evil.py": b"import os",
    "processing_evil.py": b"import os",
    "pytorch_model.bin": b"pickle",
    "model.pt": b"pickle",
    "training_args.pkl": b"pickle",
    "consolidated.safetensors": b"the same weights again",
    ".gitattributes": b"",
    "../outside.json": b"{}",
    "runs/events.json": b"{}",
}
ONNX = {
    "cpu/int4/genai_config.json": b"{}",
    "cpu/int4/model.onnx": b"o",
    "cpu/int4/model.onnx.data": WEIGHTS,
    "cpu/int4/tokenizer.json": b"[]",
    "cpu/int4/vision/eye.onnx": b"e",
}
PARTS = {"q8/big-00001-of-00002.gguf": b"1", "q8/big-00002-of-00002.gguf": WEIGHTS}


@pytest.fixture
def hub() -> Iterator[Hub]:
    with serving(Hub(SAFETENSORS | EVIL, in_git=("config.json",))) as running:
        yield running


def contents(folder: Path) -> dict[str, bytes]:
    paths = [path for path in folder.rglob("*") if path.is_file()]
    return {str(path.relative_to(folder)): path.read_bytes() for path in paths}


def test_folder_of_safetensors_holds_data_only(hub: Hub, tmp_path: Path) -> None:
    folder = pull(hub, tmp_path)
    assert folder == tmp_path / "a-model-GGUF"
    assert contents(folder) == SAFETENSORS
    assert left_over(tmp_path) == []


def test_folder_of_onnx_is_named_after_its_place(hub: Hub, tmp_path: Path) -> None:
    hub.files = ONNX | {"README.md": b"", "cpu/int4/evil.py": b"import os"}
    folder = pull(hub, tmp_path)
    assert folder == tmp_path / "a-model-GGUF-cpu-int4"
    assert contents(folder) == {
        name.removeprefix("cpu/int4/"): content for name, content in ONNX.items()
    }


def test_parts_of_a_gguf_stay_together(hub: Hub, tmp_path: Path) -> None:
    hub.files = PARTS
    folder = pull(hub, tmp_path, "q8/big-00002-of-00002.gguf")
    assert folder == tmp_path / "big"
    assert contents(folder) == {name.removeprefix("q8/"): body for name, body in PARTS.items()}


@pytest.mark.parametrize(
    ("wanted", "path"),
    [
        ("cpu/int4", "cpu/int4"),
        ("INT4", "cpu/int4"),
        (".", "."),
        ("q8", "q8/big-00001-of-00002.gguf"),
        ("small.gguf", "small.gguf"),
        ("cpu/int4/genai_config.json", "cpu/int4"),
    ],
)
def test_model_is_chosen_by_path_or_by_a_part_that_fits_one(
    hub: Hub, wanted: str, path: str
) -> None:
    hub.files = SAFETENSORS | ONNX | PARTS | {"small.gguf": b"s", "small.gguf.txt": b""}
    assert plan_of(hub, wanted).path == path


def test_several_models_are_all_named(hub: Hub) -> None:
    hub.files = SAFETENSORS | ONNX | PARTS | {"small.gguf": WEIGHTS}
    with pytest.raises(NotOnHub) as refused:
        plan_of(hub)
    assert str(refused.value).splitlines() == [
        f"{REPO} has several models. Name one of:",
        f"  {REPO}:small.gguf  (GGUF, 2 MB)",
        f"  {REPO}:q8/big-00001-of-00002.gguf  (GGUF, 2 MB)",
        f"  {REPO}:.  (safetensors, 2 MB)",
        f"  {REPO}:cpu/int4  (ONNX, 2 MB)",
    ]
    with pytest.raises(NotOnHub, match=r"Nothing in .* is called 'q2'\. Name one of"):
        plan_of(hub, "q2")


@pytest.mark.parametrize(
    "files",
    [
        {},
        {"README.md": b""},
        {"big-00001-of-00002.gguf": b"1"},
        {"model.safetensors": b"no configuration"},
        {"config.json": b"{}", "pytorch_model.bin": b"pickle"},
        {"genai_config.json": b"{}"},
        {"../up.gguf": b"1", "/etc/root.gguf": b"2", ".hidden/it.gguf": b"3", "a\\b.gguf": b"4"},
    ],
)
def test_repository_without_a_whole_model(hub: Hub, files: dict[str, bytes]) -> None:
    hub.files = files
    with pytest.raises(NotOnHub, match="has no GGUF file, and no folder"):
        plan_of(hub)


def test_damaged_file_costs_only_itself(hub: Hub, tmp_path: Path) -> None:
    plan = plan_of(hub)
    hub.files = {**hub.files, "tokenizer.json": b"{}"}
    with pytest.raises(Damaged, match=r"tokenizer\.json arrived damaged"):
        fetch(hubs(hub), plan, tmp_path, ignore)
    assert not (tmp_path / "a-model-GGUF").exists()
    hub.files, hub.downloads = {**hub.files, "tokenizer.json": b"[]"}, []
    arrived: list[int] = []
    assert contents(fetch(hubs(hub), plan, tmp_path, arrived.append)) == SAFETENSORS
    assert len(hub.downloads) < len(SAFETENSORS)
    assert arrived[0] >= len(WEIGHTS)
    assert arrived == sorted(arrived)
    assert arrived[-1] == plan.size


def test_next_pull_goes_on_where_a_killed_one_stopped(hub: Hub, tmp_path: Path) -> None:
    hub.files, hub.hold_after = ONNX, CHUNK
    started = command(hub, tmp_path, REPO)
    kill_when(
        lambda: any(path.name == "model.onnx.data" for path in left_over(tmp_path)), **started
    )
    assert not (tmp_path / "a-model-GGUF-cpu-int4").exists()
    hub.hold_after = 0
    subprocess.run(**command(hub, tmp_path, REPO), check=True)
    assert contents(tmp_path / "a-model-GGUF-cpu-int4").keys() == {
        name.removeprefix("cpu/int4/") for name in ONNX
    }


def test_other_folder_of_that_name_is_not_touched(hub: Hub, tmp_path: Path) -> None:
    (tmp_path / "a-model-GGUF").mkdir()
    (tmp_path / "a-model-GGUF" / "mine").touch()
    with pytest.raises(NameTaken, match="is another model"):
        pull(hub, tmp_path)
    assert list((tmp_path / "a-model-GGUF").iterdir()) == [tmp_path / "a-model-GGUF" / "mine"]


def test_folder_that_is_there_is_not_downloaded_again(hub: Hub, tmp_path: Path) -> None:
    pull(hub, tmp_path)
    hub.downloads = []
    pull(hub, tmp_path)
    assert hub.downloads == []


def test_modelscope_has_the_same_models(hub: Hub, tmp_path: Path) -> None:
    pull(hub, tmp_path, kind="modelscope")
    assert contents(tmp_path / "a-model-GGUF") == SAFETENSORS
    assert all(path.startswith("/api/v1/models/") for path in hub.asked)


def test_modelscope_goes_on_where_it_broke_and_says_the_licence(hub: Hub, tmp_path: Path) -> None:
    hub.files, hub.break_after = {"small.gguf": WEIGHTS}, CHUNK + 1000
    settings = {"MODEL_HUB": "modelscope", "MODELSCOPE_API_TOKEN": "ms-secret"}
    done = subprocess.run(**command(hub, tmp_path, REPO, **settings), check=True)
    assert "licence: Apache License 2.0" in done.stdout
    assert (tmp_path / "small.gguf").read_bytes() == WEIGHTS
    assert hub.downloads == [("", "Bearer ms-secret"), (f"bytes={CHUNK}-", "Bearer ms-secret")]
    assert hub.cookies[0] == "m_session_id=ms-secret"


def test_modelscope_by_a_prefix(hub: Hub, tmp_path: Path) -> None:
    hub.files = {"small.gguf": WEIGHTS}
    subprocess.run(**command(hub, tmp_path, f"modelscope:{REPO}"), check=True)
    assert (tmp_path / "small.gguf").read_bytes() == WEIGHTS
    assert hub.asked[0].startswith("/api/v1/")


def test_modelscope_without_such_a_repository(hub: Hub) -> None:
    with pytest.raises(NotOnHub, match="no public repository 'some/other'"):
        plan_of(hub, repo="some/other", kind="modelscope")
    hub.files = {}
    with pytest.raises(NotOnHub, match="has no GGUF file"):
        plan_of(hub, kind="modelscope")
