"""Newer revisions: told of, tried in a real engine, swapped in; a kill leaves one whole version."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from app.provider.errors import ModelNotLoadable
from app.provider.hub import record, staging
from app.provider.hub.errors import NameTaken, NotOnHub
from app.provider.hub.plan import INCOMING
from app.provider.hub.update import UpdateStatus, check_for_update, records, replace_model
from tests.provider.hub_server import REPO, Hub, serving
from tests.provider.pulling import command, hubs, ignore, pull
from tests.selection import matrix

pytestmark = pytest.mark.slow

STARTER = (Path(__file__).parents[2] / "models" / "starter.gguf").read_bytes()
NEWER = STARTER.replace(b"general.name", b"general.NAME")
BROKEN = STARTER[:20_000] + bytes(len(STARTER) - 20_000)[::-1]
SECOND = "d" * 40


@pytest.fixture
def hub() -> Iterator[Hub]:
    with serving(Hub({"small.gguf": STARTER, "README.md": b"old"})) as running:
        yield running


def publish(hub: Hub, **files: bytes) -> None:
    """Put a new revision onto the hub."""
    hub.commit, hub.downloads = SECOND, []
    hub.files |= {name.replace("__", "/").replace("_", "."): files[name] for name in files}


def found(hub: Hub, models: Path) -> UpdateStatus:
    (known,) = records(models)
    return check_for_update(hubs(hub), known.plan, models)


def update(hub: Hub, models: Path, problem: str = "") -> None:
    replace_model(hubs(hub), models, found(hub, models), lambda _: problem, ignore)


def run(hub: Hub, models: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(**command(hub, models, *arguments), check=False)


def test_newer_revision_is_tried_and_swapped_in(hub: Hub, tmp_path: Path) -> None:
    pull(hub, tmp_path)
    publish(hub, small_gguf=NEWER)
    checked = run(hub, tmp_path, "--check")
    assert checked.stdout.splitlines()[1].split() == [
        "small",
        8 * "c",
        8 * "d",
        "newer",
        "revision",
    ]
    assert (tmp_path / "small.gguf").read_bytes() == STARTER
    done = run(hub, tmp_path, "--update")
    assert done.returncode == 0, done.stderr
    assert "small is now the newer revision" in done.stdout
    assert (tmp_path / "small.gguf").read_bytes() == NEWER
    assert list((tmp_path / INCOMING).iterdir()) == []
    assert found(hub, tmp_path).state == "up to date"


def test_newer_revision_that_does_not_load_is_deleted(hub: Hub, tmp_path: Path) -> None:
    pull(hub, tmp_path)
    publish(hub, small_gguf=BROKEN)
    done = run(hub, tmp_path, "--update", "small")
    assert done.returncode == 1
    assert "does not load and was deleted; the old one stays" in done.stderr
    assert (tmp_path / "small.gguf").read_bytes() == STARTER
    assert list((tmp_path / INCOMING).iterdir()) == []
    assert found(hub, tmp_path).state == "newer revision"


def test_revision_that_changes_other_files_is_not_newer(hub: Hub, tmp_path: Path) -> None:
    pull(hub, tmp_path)
    publish(hub, README_md=b"new")
    assert found(hub, tmp_path).state == "up to date"


def test_model_that_left_the_hub_is_told(hub: Hub, tmp_path: Path) -> None:
    pull(hub, tmp_path)
    hub.files = {"other.gguf": STARTER}
    assert found(hub, tmp_path).state.startswith(f"Nothing in {REPO} is called 'small.gguf'")
    hub.refusal = (404, "RepoNotFound")
    assert "no public repository" in found(hub, tmp_path).state


def test_model_that_was_changed_here_is_never_replaced(hub: Hub, tmp_path: Path) -> None:
    pull(hub, tmp_path)
    publish(hub, small_gguf=NEWER)
    before = found(hub, tmp_path)
    (tmp_path / "small.gguf").write_bytes(BROKEN)
    with pytest.raises(NameTaken, match="not as it was pulled"):
        replace_model(hubs(hub), tmp_path, before, lambda _: "", ignore)
    (tmp_path / "small.gguf").write_bytes(b"mine")
    assert "not as it was pulled" in found(hub, tmp_path).state
    assert (tmp_path / "small.gguf").read_bytes() == b"mine"


def test_pull_of_a_newer_revision_leads_to_update(hub: Hub, tmp_path: Path) -> None:
    pull(hub, tmp_path)
    publish(hub, small_gguf=NEWER + b"!")
    with pytest.raises(NameTaken, match=r"run\.sh pull --update small"):
        pull(hub, tmp_path)


def test_model_that_was_not_pulled_is_not_known(hub: Hub, tmp_path: Path) -> None:
    (tmp_path / "mine.gguf").write_bytes(STARTER)
    assert records(tmp_path) == []
    with pytest.raises(NotOnHub, match="'mine' was not pulled"):
        records(tmp_path, "mine")
    assert "was pulled by this version" in run(hub, tmp_path, "--update").stdout


def test_deleted_model_is_not_pulled_again(hub: Hub, tmp_path: Path) -> None:
    pull(hub, tmp_path).unlink()
    assert records(tmp_path) == []


FOLDER = {
    "config.json": b"{}",
    "model-00001-of-00002.safetensors": b"1" * 1000,
    "model-00002-of-00002.safetensors": b"2" * 1000,
}


@pytest.mark.parametrize("atomic", [True, False])
def test_folder_is_swapped_and_only_what_changed_is_downloaded(
    hub: Hub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, atomic: bool
) -> None:
    if not atomic:
        monkeypatch.setattr(staging, "_exchange", lambda *_: False)
    hub.files = dict(FOLDER)
    folder = pull(hub, tmp_path)
    hub.commit, hub.downloads = SECOND, []
    hub.files["model-00002-of-00002.safetensors"] = b"3" * 1000
    update(hub, tmp_path)
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == hub.files
    assert len(hub.downloads) == 1
    assert list((tmp_path / INCOMING).iterdir()) == []
    assert found(hub, tmp_path).state == "up to date"


def test_trial_sees_the_new_one_while_the_old_one_is_in_its_place(hub: Hub, tmp_path: Path) -> None:
    target = pull(hub, tmp_path)
    publish(hub, small_gguf=NEWER)
    seen: list[tuple[bytes, bytes]] = []

    def trial(model: Path) -> str:
        seen.append((model.read_bytes(), target.read_bytes()))
        return "It will not do."

    with pytest.raises(ModelNotLoadable, match="It will not do"):
        replace_model(hubs(hub), tmp_path, found(hub, tmp_path), trial, ignore)
    assert seen == [(NEWER, STARTER)]


KILLED = """
import os, sys
from pathlib import Path
from app.provider.hub import record, staging, update
from app.provider.hub.names import Hubs

def die(*_):
    os.kill(os.getpid(), 9)

endpoint, models, where, atomic = sys.argv[1], Path(sys.argv[2]), sys.argv[3], sys.argv[4]
if atomic == "False":
    staging._exchange = lambda *_: False
hubs = Hubs("huggingface", {"huggingface": endpoint, "modelscope": endpoint})
(known,) = update.records(models)
found = update.check_for_update(hubs, known.plan, models)
rename, swap, write = Path.rename, staging.swap, record.write
if where == "before the swap":
    staging.swap = die
elif where == "within the swap":
    Path.rename = lambda path, to: (rename(path, to), die())
elif where == "after the swap":
    staging.swap = lambda *given: (swap(*given), die())
update.replace_model(hubs, models, found, lambda _: "", lambda _: None)
"""


@pytest.mark.parametrize("atomic", [True, *matrix(False)])
@pytest.mark.parametrize("where", ["before the swap", "within the swap", "after the swap"])
@pytest.mark.parametrize("kind", [*matrix("file"), "folder"])
def test_kill_leaves_one_whole_version(
    hub: Hub,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    *,
    kind: str,
    where: str,
    atomic: bool,
) -> None:
    if not atomic:
        monkeypatch.setattr(staging, "_exchange", lambda *_: False)
    old, name = ({"small.gguf": b"1" * 1000}, "small.gguf") if kind == "file" else (FOLDER, "")
    hub.files = dict(old)
    target = pull(hub, tmp_path, name)
    hub.commit = SECOND
    hub.files = {**old, list(old)[-1]: b"3" * 1000}
    arguments = [hub.endpoint, str(tmp_path), where, str(atomic)]
    done = subprocess.run([sys.executable, "-c", KILLED, *arguments], check=False)
    within = where == "within the swap" and (atomic or kind == "file")
    assert done.returncode == (0 if within else -9)

    records(tmp_path)
    there = contents(target)
    assert there in (contents_of(old), contents_of(hub.files))
    swapped = there == contents_of(hub.files)
    assert swapped == (where == "after the swap" or within)
    assert found(hub, tmp_path).state == ("up to date" if swapped else "newer revision")
    if not swapped:
        update(hub, tmp_path)
    assert contents(target) == contents_of(hub.files)
    (known,) = records(tmp_path)
    assert known.previous is None
    assert list((tmp_path / INCOMING).iterdir()) == []


def contents(target: Path) -> set[bytes]:
    return {path.read_bytes() for path in (target.iterdir() if target.is_dir() else [target])}


def contents_of(files: dict[str, bytes]) -> set[bytes]:
    return set(files.values())


def test_damaged_record_is_no_record(hub: Hub, tmp_path: Path) -> None:
    pull(hub, tmp_path)
    (tmp_path / record.SOURCES / "small.json").write_text("{")
    assert records(tmp_path) == []
    assert pull(hub, tmp_path).exists()
    assert len(records(tmp_path)) == 1


def test_swap_is_atomic_here(tmp_path: Path) -> None:
    """Linux and macOS can; if this fails, only the repair at the next start covers a kill."""
    for name in ("one", "other"):
        (tmp_path / name).mkdir()
        (tmp_path / name / name).touch()
    assert staging._exchange(tmp_path / "one", tmp_path / "other")
    assert os.listdir(tmp_path / "one") == ["other"]
