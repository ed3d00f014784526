"""``build_and_run_linux.sh``: what it asks of Docker, and what it says where that cannot be had.

The images themselves are built and run by ``docker/verify.sh``.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
RECORDER = """#!/bin/bash
[[ $1 != info || -z $NO_ENGINE ]] || exit 1
printf '%s\\n' "$*" >> "$RECORD"
[[ $1 != run ]] || env >> "$RECORD"
"""


@pytest.fixture
def project(tmp_path: Path) -> Path:
    for name in ("build_and_run_linux.sh", ".env.example"):
        shutil.copy(ROOT / name, tmp_path / name)
    docker = tmp_path / "bin" / "docker"
    docker.parent.mkdir()
    docker.write_text(RECORDER)
    docker.chmod(0o755)
    return tmp_path


def run(project: Path, path: str = "", **settings: str) -> subprocess.CompletedProcess[str]:
    environment = {
        "PATH": path or f"{project / 'bin'}:{os.environ['PATH']}",
        "USER": "somebody",
        "RECORD": str(project / "record"),
    }
    return subprocess.run(
        ["/bin/bash", "build_and_run_linux.sh"],
        cwd=project,
        env=environment | settings,
        text=True,
        capture_output=True,
        check=False,
        timeout=60,
    )


def recorded(project: Path, command: str) -> str:
    """The arguments that docker got for this command."""
    lines = (project / "record").read_text().splitlines()
    return next(line for line in lines if line.startswith(f"{command} "))


def without_docker(project: Path) -> str:
    """A PATH with the tools that the script uses, and no docker."""
    folder = project / "tools"
    folder.mkdir()
    for name in ("dirname", "cat", "sed", "sort", "grep", "tail"):
        (folder / name).symlink_to(str(shutil.which(name)))
    return str(folder)


def test_it_says_that_docker_is_missing(project: Path) -> None:
    found = run(project, path=without_docker(project))
    assert found.returncode == 1
    assert "Docker is not installed" in found.stderr


def test_it_says_that_docker_does_not_run(project: Path) -> None:
    found = run(project, NO_ENGINE="1")
    assert found.returncode == 1
    assert "does not answer" in found.stderr
    assert not (project / "record").exists()


@pytest.mark.parametrize("settings", [{"HOST": "192.168.0.6"}, {"LLM_HOST": "192.168.0.7"}])
def test_it_is_not_published_for_everybody_without_a_key(
    project: Path, settings: dict[str, str]
) -> None:
    found = run(project, **settings)
    assert found.returncode == 1
    assert "there is no API key" in found.stderr
    assert not (project / "record").exists()


def test_settings_reach_the_container_and_no_secret_is_an_argument(project: Path) -> None:
    (project / ".env").write_text(
        "# mine\nPORT=9000 # ours\nAPI_KEYS=\"one,two # not a remark\"\nHOST='192.168.0.6'\n"
        "DATABASE_URL=sqlite:///mine.db\nENGINE_SLOTS=4\nHUGGINGFACE_TOKEN=hf_secret\n"
    )
    found = run(project, ENGINE_SLOTS="2")
    assert found.returncode == 0, found.stderr
    asked = recorded(project, "run")
    assert "--publish 192.168.0.6:9000:8000" in asked
    for name in ("API_KEYS", "ENGINE_SLOTS", "HUGGINGFACE_TOKEN"):
        assert f"--env {name} " in asked
    for name in ("HOST", "PORT", "DATABASE_URL"):
        assert f"--env {name} " not in asked
    assert "hf_secret" not in asked
    given = (project / "record").read_text().splitlines()
    assert "API_KEYS=one,two # not a remark" in given
    assert "ENGINE_SLOTS=2" in given
    assert "EXTRAS= " in recorded(project, "build")


def test_a_folder_of_hugging_face_is_mounted_and_needs_pytorch(project: Path) -> None:
    folder = project / "a model"
    folder.mkdir()
    (folder / "config.json").write_text("{}")
    (folder / "model.safetensors").write_text("")
    found = run(project, HOST_MODEL_DIR="a model")
    assert found.returncode == 0, found.stderr
    inside = "/models/HyperCLOVAX-SEED-Vision-Instruct-3B"
    assert f"--volume {folder}:{inside}:ro --env MODEL_PATH={inside}" in recorded(project, "run")
    assert "--publish 127.0.0.1:8000:8000" in recorded(project, "run")
    assert "EXTRAS=pytorch" in recorded(project, "build")
