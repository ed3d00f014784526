from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from huggingface_hub import constants

from app.provider.hub import process, record
from app.provider.hub.download import fetch
from app.provider.hub.errors import (
    Damaged,
    HubError,
    HubUnreachable,
    NameTaken,
    NoSpace,
    NotAllowed,
    NotOnHub,
)
from app.provider.hub.names import HubName, ModelReference
from tests.provider.asking import STARTER
from tests.provider.hub_server import REPO, Hub, git_id, serving
from tests.provider.pulling import (
    CHUNK,
    arrived,
    command,
    hubs,
    ignore,
    kill_when,
    left_over,
    plan_of,
    pull,
    tiny_disk,
)

pytestmark = pytest.mark.slow

CONTENT = bytes(range(256)) * (2 * CHUNK // 256)
HALFWAY = CHUNK + 1000


@pytest.fixture
def hub() -> Iterator[Hub]:
    with serving(Hub({"README.md": b"", "small.q8_0.gguf": CONTENT})) as running:
        yield running


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
    with pytest.raises(NameTaken, match="is another model"):
        pull(hub, tmp_path)
    assert (tmp_path / "small.q8_0.gguf").read_text() == "mine"


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


def test_server_that_cannot_go_on_is_asked_for_all_again(hub: Hub, tmp_path: Path) -> None:
    hub.break_after, hub.ignores_range = HALFWAY, True
    assert pull(hub, tmp_path).read_bytes() == CONTENT
    assert [asked for asked, _ in hub.downloads] == ["", f"bytes={CHUNK}-"]


def test_file_that_is_larger_than_announced_is_given_up(hub: Hub, tmp_path: Path) -> None:
    plan = plan_of(hub)
    hub.files["small.q8_0.gguf"] = CONTENT * 8
    with pytest.raises(HubUnreachable, match="instead of"):
        fetch(hubs(hub), plan, tmp_path, ignore)
    assert arrived(tmp_path) <= len(CONTENT) + CHUNK
    hub.files["small.q8_0.gguf"] = CONTENT
    assert fetch(hubs(hub), plan, tmp_path, ignore).read_bytes() == CONTENT


def test_next_pull_goes_on_where_a_killed_one_stopped(hub: Hub, tmp_path: Path) -> None:
    hub.stall_after = HALFWAY
    kill_when(lambda: arrived(tmp_path) > 0, **command(hub, tmp_path, REPO))
    before = arrived(tmp_path)
    done = subprocess.run(**command(hub, tmp_path, REPO), check=True)
    assert "licence: apache-2.0" in done.stdout
    assert (tmp_path / "small.q8_0.gguf").read_bytes() == CONTENT
    assert hub.downloads[-1][0] == f"bytes={before}-"


def test_damaged_file_never_reaches_the_models(hub: Hub, tmp_path: Path) -> None:
    plan = plan_of(hub)
    hub.files["small.q8_0.gguf"] = b"!" + CONTENT[1:]
    with pytest.raises(Damaged, match="arrived damaged and was deleted: try again"):
        fetch(hubs(hub), plan, tmp_path, ignore)
    assert not (tmp_path / "small.q8_0.gguf").exists()
    assert left_over(tmp_path) == []


def test_file_larger_than_the_disk_is_not_begun(hub: Hub, tmp_path: Path) -> None:
    hub.announced_size = 10**16
    with pytest.raises(NoSpace, match="needs 10,000,000,000 MB"):
        pull(hub, tmp_path)
    assert hub.downloads == []


def test_name_of_a_model_elsewhere_is_not_given_twice(hub: Hub, tmp_path: Path) -> None:
    mine = tmp_path / "gguf" / "Small.q8_0.gguf"
    mine.parent.mkdir()
    shutil.copy(STARTER, mine)
    with pytest.raises(NameTaken, match=r"^gguf/Small\.q8_0\.gguf has the name 'small\.q8_0'"):
        pull(hub, tmp_path)
    assert hub.downloads == []


def test_second_pull_of_the_same_file_at_once_is_refused(hub: Hub, tmp_path: Path) -> None:
    hub.stall_after = HALFWAY

    def refused() -> bool:
        if not arrived(tmp_path):
            return False
        with pytest.raises(NameTaken, match="another process"):
            pull(hub, tmp_path)
        return True

    kill_when(refused, **command(hub, tmp_path, REPO))


def test_token_is_sent(hub: Hub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_TOKEN", "hf_secret")
    pull(hub, tmp_path)
    assert hub.downloads == [("", "Bearer hf_secret")]


SECRET = "hf_quite_secret"


@pytest.mark.parametrize("name", ["HF_TOKEN", "HUGGINGFACE_TOKEN"])
def test_token_of_the_settings_file_is_sent_and_never_shown(
    hub: Hub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    for known in ("HF_TOKEN", "HUGGINGFACE_TOKEN"):
        monkeypatch.delenv(known, raising=False)
    (tmp_path / ".env").write_text(f"{name}={SECRET}\n")
    settings = {"LOG_LEVEL": "DEBUG", "PYTHONPATH": str(STARTER.parents[1])}
    started = command(hub, tmp_path, REPO, **settings)
    done = subprocess.run(**started, cwd=tmp_path, check=True)
    assert hub.tokens == {f"Bearer {SECRET}"}
    assert SECRET not in done.stdout + done.stderr
    hub.refusal = (403, "")
    done = subprocess.run(**started, cwd=tmp_path, check=False)
    assert done.returncode == 1
    assert SECRET not in done.stdout + done.stderr


@pytest.mark.parametrize("kind", ["huggingface", "modelscope"])
async def test_token_reaches_the_process_that_downloads(
    hub: Hub, tmp_path: Path, kind: HubName
) -> None:
    tokens: dict[HubName, str] = {kind: SECRET}
    given = replace(hubs(hub), tokens=tokens)
    plan = await process.find(given, ModelReference(kind, REPO, ""), tmp_path, 30)
    assert [size async for size in process.fetch(given, plan, tmp_path)]
    assert hub.tokens == {f"Bearer {SECRET}"}


def test_gated_file(hub: Hub, tmp_path: Path) -> None:
    hub.gated_files = True
    with pytest.raises(NotAllowed, match="accept its terms"):
        pull(hub, tmp_path)


@pytest.mark.parametrize(
    ("refusal", "kind", "sentence"),
    [
        ((401, "GatedRepo"), NotAllowed, "then set HF_TOKEN"),
        ((403, ""), NotAllowed, "check the token"),
        ((404, "RepoNotFound"), NotOnHub, "There is no public repository"),
        ((503, ""), HubUnreachable, "answered with status 503"),
    ],
)
def test_refusals(hub: Hub, refusal: tuple[int, str], kind: type[HubError], sentence: str) -> None:
    hub.refusal = refusal
    with pytest.raises(kind, match=sentence):
        plan_of(hub)


def test_no_network() -> None:
    nowhere = Hub({}, endpoint="http://127.0.0.1:9")
    with pytest.raises(HubUnreachable, match="cannot be reached"):
        plan_of(nowhere)


def test_command_ends_with_one_sentence_and_an_error(hub: Hub, tmp_path: Path) -> None:
    hub.refusal = (401, "GatedRepo")
    done = subprocess.run(**command(hub, tmp_path, REPO), check=False)
    assert done.returncode == 1
    assert done.stderr.count("\n") == 1
    assert "is gated" in done.stderr


def test_mirror_may_have_a_path(tmp_path: Path) -> None:
    with serving(Hub({"small.gguf": CONTENT}, prefix="/mirror/hf")) as hub:
        pull(hub, tmp_path)
        assert len(hub.asked) == 2
        assert all(path.startswith("/mirror/hf/") for path in hub.asked)


@pytest.mark.parametrize("kind", ["huggingface", "modelscope"])
def test_token_is_not_sent_on_to_another_host(
    hub: Hub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: HubName
) -> None:
    monkeypatch.setenv("HF_TOKEN", "hf_secret")
    monkeypatch.setenv("MODELSCOPE_API_TOKEN", "hf_secret")
    with serving(Hub(hub.files)) as cdn:
        hub.cdn = cdn.endpoint
        pull(hub, tmp_path, kind=kind)
        assert hub.downloads == [("", "Bearer hf_secret")]
        assert cdn.downloads == [("", "")]
        assert cdn.cookies == [""]


def test_small_files_are_checked_by_their_name_in_git(hub: Hub, tmp_path: Path) -> None:
    hub.in_git = ("small.q8_0.gguf",)
    plan = plan_of(hub)
    assert (plan.files[0].sha256, plan.files[0].git_id) == ("", git_id(CONTENT))
    hub.files["small.q8_0.gguf"] = b"!" + CONTENT[1:]
    with pytest.raises(Damaged):
        fetch(hubs(hub), plan, tmp_path, ignore)
    hub.files["small.q8_0.gguf"] = CONTENT
    assert fetch(hubs(hub), plan, tmp_path, ignore).read_bytes() == CONTENT


def test_arrival_is_reported_from_where_it_goes_on(hub: Hub, tmp_path: Path) -> None:
    hub.break_after = HALFWAY
    arrived: list[int] = []
    fetch(hubs(hub), plan_of(hub), tmp_path, arrived.append)
    assert arrived[0] == 0
    assert arrived == sorted(arrived)
    assert arrived[-1] == len(CONTENT)


def test_disk_that_is_too_small_is_noticed_first(hub: Hub) -> None:
    with tiny_disk(CHUNK + CHUNK // 2) as models:
        with pytest.raises(NoSpace, match="needs 2 MB, but only 2 MB are free"):
            pull(hub, models)
        with pytest.raises(NoSpace, match="needs 2 MB, but only 2 MB are free"):
            fetch(hubs(hub), plan_of(hub), models, ignore)
        assert hub.downloads == []


def test_disk_that_fills_up_keeps_what_has_arrived(hub: Hub) -> None:
    with tiny_disk(3 * CHUNK) as models:
        others = models / "others"

        def fill(_: int) -> None:
            if not others.exists():
                others.write_bytes(bytes(CHUNK + CHUNK // 2))

        with pytest.raises(NoSpace, match="The disk is full"):
            fetch(hubs(hub), plan_of(hub), models, fill)
        assert arrived(models) >= CHUNK
        others.unlink()
        assert pull(hub, models).read_bytes() == CONTENT


def test_answer_of_something_that_is_no_hub(hub: Hub) -> None:
    hub.page = b"<html>Please log in</html>"
    with pytest.raises(HubUnreachable, match="makes no sense"):
        plan_of(hub)
    with pytest.raises(HubUnreachable, match="makes no sense"):
        plan_of(hub, kind="modelscope")


def test_source_is_kept(hub: Hub, tmp_path: Path) -> None:
    pull(hub, tmp_path)
    kept = record.read(tmp_path, "small.q8_0")
    assert kept is not None
    assert (kept.plan, kept.endpoint, kept.previous) == (plan_of(hub), hub.endpoint, None)
    assert kept.pulled_at.endswith("+00:00")


def test_source_of_a_model_that_was_there_is_learnt(hub: Hub, tmp_path: Path) -> None:
    (tmp_path / "small.q8_0.gguf").write_bytes(CONTENT)
    pull(hub, tmp_path)
    assert hub.downloads == []
    assert record.read(tmp_path, "small.q8_0") is not None


def test_older_downloads_of_a_model_are_forgotten(hub: Hub, tmp_path: Path) -> None:
    hub.break_after = HALFWAY
    damaged = plan_of(hub)
    hub.files["small.q8_0.gguf"] = CONTENT[::-1]
    with pytest.raises(Damaged):
        fetch(hubs(hub), damaged, tmp_path, ignore)
    pull(hub, tmp_path)
    assert list((tmp_path / ".incoming").iterdir()) == []
