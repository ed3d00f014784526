from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from huggingface_hub import constants

from app.provider import hub as client
from app.provider.curated import RECOMMENDED, source
from tests.provider.hub_server import REPO, Hub, serving

CHUNK = constants.DOWNLOAD_CHUNK_SIZE
"""Bytes; the client writes no less at once."""
CONTENT = bytes(range(256)) * (2 * CHUNK // 256)
HALFWAY = CHUNK + 1000


@pytest.fixture
def hub() -> Iterator[Hub]:
    with serving(Hub({"README.md": b"", "small.q8_0.gguf": CONTENT})) as running:
        yield running


def pull(hub: Hub, models: Path, wanted: str = "", repo: str = REPO) -> Path:
    return client.fetch(hub.endpoint, client.find(hub.endpoint, repo, wanted), models)


def left_over(models: Path) -> list[Path]:
    return list((models / client.INCOMING).glob("*"))


def test_pulled_file_is_whole_and_nothing_is_left_over(hub: Hub, tmp_path: Path) -> None:
    path = pull(hub, tmp_path)
    assert path == tmp_path / "small.q8_0.gguf"
    assert path.read_bytes() == CONTENT
    assert left_over(tmp_path) == []


def test_file_that_is_there_is_not_downloaded_again(hub: Hub, tmp_path: Path) -> None:
    pull(hub, tmp_path)
    pull(hub, tmp_path)
    assert len(hub.downloads) == 1


def test_other_file_of_that_name_is_not_overwritten(hub: Hub, tmp_path: Path) -> None:
    (tmp_path / "small.q8_0.gguf").write_text("mine")
    with pytest.raises(client.NameTaken, match="is another file"):
        pull(hub, tmp_path)
    assert (tmp_path / "small.q8_0.gguf").read_text() == "mine"


def test_file_is_chosen_by_path_or_by_a_part_that_fits_one(hub: Hub) -> None:
    hub.files |= {"sub/small.q4_k_m.gguf": b"4", "small.q8_0.gguf.txt": b""}
    assert client.find(hub.endpoint, REPO, "sub/small.q4_k_m.gguf").name == "small.q4_k_m.gguf"
    assert client.find(hub.endpoint, REPO, "Q8_0").path == "small.q8_0.gguf"


def test_several_candidates_are_all_named(hub: Hub) -> None:
    hub.files["small.q4_k_m.gguf"] = b"4"
    with pytest.raises(client.NotOnHub, match=r"small.q8_0.gguf  \(21 MB\)\n.*q4_k_m"):
        client.find(hub.endpoint, REPO)


@pytest.mark.parametrize(
    ("files", "sentence"),
    [
        ({"model.safetensors": b""}, "has no GGUF file"),
        ({"big-00001-of-00002.gguf": b"1"}, "one part of a model"),
    ],
)
def test_repository_without_a_whole_gguf(hub: Hub, files: dict[str, bytes], sentence: str) -> None:
    hub.files = files
    with pytest.raises(client.NotOnHub, match=sentence):
        client.find(hub.endpoint, REPO)


def test_broken_connection_is_picked_up_where_it_broke(hub: Hub, tmp_path: Path) -> None:
    hub.break_after = HALFWAY
    assert pull(hub, tmp_path).read_bytes() == CONTENT
    assert [asked for asked, _ in hub.downloads] == ["", f"bytes={CHUNK}-"]


def test_silent_server_is_asked_again(
    hub: Hub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(constants, "HF_HUB_DOWNLOAD_TIMEOUT", 0.5)
    hub.stall_after = HALFWAY
    assert pull(hub, tmp_path).read_bytes() == CONTENT
    assert [asked for asked, _ in hub.downloads] == ["", f"bytes={CHUNK}-"]


def test_next_pull_goes_on_where_a_killed_one_stopped(hub: Hub, tmp_path: Path) -> None:
    hub.stall_after = HALFWAY
    with subprocess.Popen(**_command(hub, tmp_path, REPO)) as process:
        _wait_for(tmp_path, process)
        process.kill()
    arrived = left_over(tmp_path)[0].stat().st_size
    done = subprocess.run(**_command(hub, tmp_path, REPO), check=True)
    assert "licence: apache-2.0" in done.stdout
    assert (tmp_path / "small.q8_0.gguf").read_bytes() == CONTENT
    assert hub.downloads[-1][0] == f"bytes={arrived}-"


def test_damaged_file_never_reaches_the_models(hub: Hub, tmp_path: Path) -> None:
    file = client.find(hub.endpoint, REPO)
    hub.files["small.q8_0.gguf"] = b"!" + CONTENT[1:]
    with pytest.raises(client.Damaged, match="run the same command again"):
        client.fetch(hub.endpoint, file, tmp_path)
    assert not (tmp_path / "small.q8_0.gguf").exists()
    assert left_over(tmp_path) == []


def test_file_larger_than_the_disk_is_not_begun(hub: Hub, tmp_path: Path) -> None:
    hub.announced_size = 10**16
    with pytest.raises(client.NoSpace, match="needs 10,000,000,000 MB"):
        pull(hub, tmp_path)
    assert hub.downloads == []


def test_second_pull_of_the_same_file_at_once_is_refused(hub: Hub, tmp_path: Path) -> None:
    hub.stall_after = HALFWAY
    with subprocess.Popen(**_command(hub, tmp_path, REPO)) as process:
        _wait_for(tmp_path, process)
        with pytest.raises(client.NameTaken, match="another process"):
            pull(hub, tmp_path)
        process.kill()


def test_token_is_sent(hub: Hub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_TOKEN", "hf_secret")
    pull(hub, tmp_path)
    assert hub.downloads == [("", "Bearer hf_secret")]


def test_gated_file(hub: Hub, tmp_path: Path) -> None:
    hub.gated_files = True
    with pytest.raises(client.NotAllowed, match="accept its terms"):
        pull(hub, tmp_path)


@pytest.mark.parametrize(
    ("refusal", "kind", "sentence"),
    [
        ((401, "GatedRepo"), client.NotAllowed, "then set HF_TOKEN"),
        ((403, ""), client.NotAllowed, "check HF_TOKEN and its rights"),
        ((404, "RepoNotFound"), client.NotOnHub, "There is no public repository"),
        ((503, ""), client.HubUnreachable, "answered with status 503"),
    ],
)
def test_refusals(
    hub: Hub, refusal: tuple[int, str], kind: type[client.HubError], sentence: str
) -> None:
    hub.refusal = refusal
    with pytest.raises(kind, match=sentence):
        client.find(hub.endpoint, REPO)


def test_no_network() -> None:
    with pytest.raises(client.HubUnreachable, match="cannot be reached"):
        client.find("http://127.0.0.1:9", REPO)


def test_command_ends_with_one_sentence_and_an_error(hub: Hub, tmp_path: Path) -> None:
    hub.refusal = (401, "GatedRepo")
    done = subprocess.run(**_command(hub, tmp_path, REPO), check=False)
    assert done.returncode == 1
    assert done.stderr.count("\n") == 1
    assert "is gated" in done.stderr


def test_recommended_names_lead_to_their_files() -> None:
    assert source("phi-2") == ("TheBloke/phi-2-GGUF", "phi-2.Q4_K_M.gguf")
    assert source("someone/some:q8_0") == ("someone/some", "q8_0")
    assert source("no-such-name") is None
    assert len({model.name for model in RECOMMENDED}) == len(RECOMMENDED)


def _command(hub: Hub, models: Path, name: str) -> dict[str, Any]:
    settings = {"HF_ENDPOINT": hub.endpoint, "MODELS_DIR": str(models)}
    return {
        "args": [sys.executable, "-m", "app.cli", "pull", name],
        "env": {**os.environ, **settings},
        "stdout": subprocess.PIPE,
        "stderr": subprocess.PIPE,
        "text": True,
    }


def _wait_for(models: Path, process: subprocess.Popen[str]) -> None:
    """Return once a part of the file has arrived."""
    while not any(part.stat().st_size for part in left_over(models)):
        assert process.poll() is None, process.communicate()
