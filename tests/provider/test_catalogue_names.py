"""What models are called, where they came from, and their fingerprints."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import sys
from pathlib import Path
from typing import Any

import pytest

from app.provider.card import ModelCard
from app.provider.catalogue import checksum as checksums
from app.provider.catalogue.checksum import checksum
from app.provider.catalogue.names import find
from app.provider.catalogue.scan import scan
from app.provider.errors import ModelConflict, ModelNotLoadable
from app.provider.pool.pool import ModelPool, PoolConfig
from tests.provider.asking import MODELS, prompt
from tests.provider.model_files import write_gguf, write_hf, write_mlx


def ids(cards: list[ModelCard], wanted: str) -> list[str]:
    return [card.id for card in find(cards, wanted)]


def record(models_dir: Path, name: str, *files: Path, **changes: Any) -> Path:
    """A record as the hub's client writes it, of a file or of the files of a folder."""
    path = models_dir / ".sources" / f"{name}.json"
    path.parent.mkdir(exist_ok=True)
    plan = {
        "repo": "owner/repo",
        "revision": "abc123",
        "licence": "apache-2.0",
        "name": name,
        "folder": (models_dir / name).is_dir(),
        "root": ".",
        "files": [
            {"path": file.name, "size": file.stat().st_size, "sha256": "ab" * 32} for file in files
        ],
    }
    path.write_text(json.dumps({"plan": plan | changes, "previous": None}))
    return path


def forget() -> None:
    """Begin as a new process does."""
    checksums._known.clear()


# ------------------------------------------------------------------ names


def test_an_id_wins_over_an_alias_and_an_exact_name_over_a_similar_one(tmp_path: Path) -> None:
    for name in ("Model.Q4_K_M", "model.q4_k_m", "한국어 모델", "a\nb", "ours"):
        write_gguf(tmp_path / f"{name}.gguf")
    aliases = {"best": "한국어 모델", "ours": "Model.Q4_K_M", "nothing": "gone", "top": "best"}
    cards = scan(tmp_path, aliases=aliases)
    assert len(cards) == 5
    assert ids(cards, "model.q4_k_m") == ["model.q4_k_m"]
    assert ids(cards, "MODEL.q4_k_m") == ["Model.Q4_K_M", "model.q4_k_m"]
    assert ids(cards, "best") == ids(cards, "BEST") == ["한국어 모델"]
    assert ids(cards, "ours") == ["ours"]
    assert ids(cards, "a\nb") == ["a\nb"]
    assert ids(cards, "nothing") == ids(cards, "top") == ids(cards, "") == []


async def test_a_pool_finds_models_by_alias(tmp_path: Path) -> None:
    write_gguf(tmp_path / "long-name.Q8_0.gguf")
    pool = ModelPool(PoolConfig(tmp_path, aliases={"short": "long-name.Q8_0"}))
    assert pool.card("short").id == "long-name.Q8_0"
    assert pool.card("short").aliases == ("short",)


async def test_a_file_and_a_folder_of_one_name_are_a_conflict(tmp_path: Path) -> None:
    write_gguf(tmp_path / "gguf" / "twin.gguf")
    write_hf(tmp_path / "hf" / "twin")
    pool = ModelPool(PoolConfig(tmp_path, aliases={"pair": "twin"}))
    for name in ("twin", "pair"):
        with pytest.raises(ModelConflict, match=r"gguf.twin[.]gguf and hf.twin"):
            pool.card(name)


def test_a_link_is_a_further_name(tmp_path: Path) -> None:
    models = tmp_path / "models"
    write_gguf(models / "gguf" / "real.gguf")
    (models / "a-link.gguf").symlink_to("gguf/real.gguf")
    (models / "z-link").symlink_to("gguf")
    (card,) = scan(models)
    assert (card.id, card.aliases) == ("real", ("a-link",))
    assert card.path == models / "gguf" / "real.gguf"


def test_of_two_links_to_a_file_or_folder_one_is_a_further_name(tmp_path: Path) -> None:
    models, disk = tmp_path / "models", tmp_path / "disk"
    models.mkdir()
    for real in (write_gguf(disk / "file.gguf"), write_hf(disk / "folder")):
        for name in ("one", "two"):
            (models / f"{name}-{real.name}").symlink_to(real)
    assert [(card.id, card.aliases) for card in scan(models)] == [
        ("one-file", ("two-file",)),
        ("one-folder", ("two-folder",)),
    ]


def test_links_to_one_file_with_other_files_beside_them_are_models_of_their_own(
    tmp_path: Path,
) -> None:
    models, cache = tmp_path / "models", tmp_path / "models" / "cache" / ("0f" * 32)
    shutil.copy(MODELS / "starter-vision.gguf", write_gguf(cache))
    for name in ("blind", "seeing"):
        (models / name).mkdir()
        (models / name / f"{name}.gguf").symlink_to(cache)
    mmproj = MODELS / "mmproj-starter-vision.gguf"
    (models / "seeing" / mmproj.name).symlink_to(mmproj)
    cards = scan(models)
    assert [(card.id, bool(card.vision)) for card in cards] == [("blind", False), ("seeing", True)]
    assert {alias for card in cards for alias in card.aliases} == {cache.name}


def test_links_out_of_the_folder_are_followed(tmp_path: Path) -> None:
    models = tmp_path / "models"
    models.mkdir()
    write_gguf(tmp_path / "disk" / "deep" / "far.gguf")
    write_hf(tmp_path / "elsewhere")
    (models / "disk").symlink_to(tmp_path / "disk")
    (models / "near").symlink_to(tmp_path / "elsewhere")
    assert [card.id for card in scan(models)] == ["far", "near"]


def test_the_names_of_a_download_cache_are_not_checksums(tmp_path: Path) -> None:
    write_gguf(tmp_path / "blobs" / ("0f" * 32))
    (tmp_path / "snapshots").mkdir()
    (tmp_path / "snapshots" / "model.gguf").symlink_to(f"../blobs/{'0f' * 32}")
    assert [card.id for card in scan(tmp_path)] == ["model"]


def test_a_file_named_by_the_user_keeps_its_name(tmp_path: Path) -> None:
    models = tmp_path / "models"
    inside = write_gguf(models / "inside.gguf")
    mine = tmp_path / ".mine.gguf"
    mine.symlink_to(inside)
    folder = write_hf(tmp_path / "folder")
    assert [card.path for card in scan(models, [mine, folder])] == [mine, folder]
    assert scan(models, [tmp_path / "gone.gguf"])[0].path == inside
    assert scan(tmp_path / "gone", [Path(), Path("/")]) == []


# ------------------------------------------------------------------ libraries


async def test_a_model_without_its_library_says_how_to_install_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_mlx(tmp_path / "m")
    monkeypatch.setitem(sys.modules, "mlx_lm", None)
    pool = ModelPool(PoolConfig(tmp_path))
    problem = "It needs mlx-lm, which is not installed: run ./run.sh install mlx."
    assert pool.cards()[0].problem == problem
    with pytest.raises(ModelNotLoadable, match=r"run[.]sh install mlx"):
        await anext(pool.stream("m", prompt("hi")))
    monkeypatch.undo()
    assert pool.cards()[0].problem in {None, problem}


# ------------------------------------------------------------------ where models came from


def test_a_record_gives_revision_licence_and_a_name(tmp_path: Path) -> None:
    folder = write_hf(tmp_path / "m")
    record(tmp_path, "m", *folder.iterdir())
    (card,) = scan(tmp_path)
    assert (card.version, card.licence, card.aliases) == ("abc123", "apache-2.0", ("owner/repo",))
    (folder / "README.md").write_text("---\nlicense: mit\n---\n")
    assert scan(tmp_path)[0].licence == "mit"


def test_a_record_counts_only_while_the_files_are_those_it_names(tmp_path: Path) -> None:
    path = write_gguf(tmp_path / "m.gguf")
    kept = record(tmp_path, "m.gguf", path, revision="new", files=[{"path": "m.gguf", "size": 1}])
    assert scan(tmp_path)[0].version == ""
    values = json.loads(kept.read_text())
    old = values["plan"] | {"revision": "old", "files": [{"size": path.stat().st_size}]}
    kept.write_text(json.dumps(values | {"previous": old}))
    assert scan(tmp_path)[0].version == "old"
    kept.unlink()
    assert scan(tmp_path)[0].version == ""


def test_a_repository_of_two_models_names_neither(tmp_path: Path) -> None:
    for name in ("a.gguf", "b.gguf"):
        record(tmp_path, name, write_gguf(tmp_path / name))
    assert [card.aliases for card in scan(tmp_path)] == [(), ()]
    assert find(scan(tmp_path), "owner/repo") == []
    (tmp_path / "b.gguf").unlink()
    assert ids(scan(tmp_path), "owner/repo") == ["a"]


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"[]",
        b"[" * 100_000,
        b'{"plan": 5}',
        b'{"plan": {"name": "m.gguf", "repo": "r", "revision": "1", "files": []}}',
        b'{"plan": {"name": "m", "repo": "r", "files": 5}}',
        b'{"plan": {"name": "m", "repo": "r", "files": [{"path": "\\u0000"}]}}',
    ],
)
def test_a_damaged_record_is_none(tmp_path: Path, content: bytes) -> None:
    path = write_gguf(tmp_path / "m.gguf")
    record(tmp_path, "m.gguf", path).write_bytes(content)
    assert [card.version for card in scan(tmp_path)] == [""]


# ------------------------------------------------------------------ fingerprints


def test_the_fingerprint_of_a_file_is_its_checksum(tmp_path: Path) -> None:
    path = write_gguf(tmp_path / "deep" / "m.gguf")
    (card,) = scan(tmp_path)
    assert checksum(card) == hashlib.sha256(path.read_bytes()).hexdigest()


def test_the_fingerprint_of_a_folder_counts_names_and_contents(tmp_path: Path) -> None:
    folder = write_hf(tmp_path / "m")
    names = ("config.json", "model.safetensors", "tokenizer.json")
    sums = [hashlib.sha256((folder / name).read_bytes()).hexdigest() for name in names]
    listing = "".join(f"{checksum}  {name}\n" for checksum, name in zip(sums, names, strict=True))
    first = checksum(scan(tmp_path)[0])
    assert first == hashlib.sha256(listing.encode()).hexdigest()
    (folder / "tokenizer.json").rename(folder / "tokenizer.model")
    assert checksum(scan(tmp_path)[0]) != first


def test_the_fingerprint_of_parts_is_of_them_all(tmp_path: Path) -> None:
    paths = [write_gguf(tmp_path / f"m-0000{n}-of-00002.gguf") for n in (1, 2)]
    first = checksum(scan(tmp_path)[0])
    paths[1].write_bytes(paths[1].read_bytes() + b"\0")
    assert checksum(scan(tmp_path)[0]) != first


def test_a_fingerprint_is_computed_once_for_each_state(tmp_path: Path) -> None:
    path = write_gguf(tmp_path / "m.gguf")
    (card,) = scan(tmp_path)
    first = checksum(card)
    path.write_bytes(path.read_bytes() + b"\0")
    assert checksum(card) == first  # from memory
    forget()
    assert checksum(card) == first  # from the models folder
    assert checksum(scan(tmp_path)[0]) != first
    assert list(json.loads((tmp_path / ".fingerprints.json").read_text())) == ["m.gguf"]


def test_a_fingerprint_is_taken_from_the_record_where_sizes_agree(tmp_path: Path) -> None:
    path = write_gguf(tmp_path / "m.gguf")
    record(tmp_path, "m.gguf", path)
    assert checksum(scan(tmp_path)[0]) == "ab" * 32
    path.write_bytes(path.read_bytes() + b"\0")
    assert checksum(scan(tmp_path)[0]) == hashlib.sha256(path.read_bytes()).hexdigest()


@pytest.mark.parametrize("content", [b"", b"[" * 100_000, b'{"m.gguf": {"sha256": "x"}}', b"5"])
def test_a_damaged_store_of_fingerprints_is_replaced(tmp_path: Path, content: bytes) -> None:
    write_gguf(tmp_path / "m.gguf")
    (tmp_path / ".fingerprints.json").write_bytes(content)
    forget()
    assert checksum(scan(tmp_path)[0])
    assert "stamp" in json.loads((tmp_path / ".fingerprints.json").read_text())["m.gguf"]


def test_a_folder_that_cannot_be_written_costs_only_time(tmp_path: Path) -> None:
    write_gguf(tmp_path / "m.gguf")
    (tmp_path / ".fingerprints.json").mkdir()  # root may write anywhere, but not a file over this
    assert checksum(scan(tmp_path)[0])
    assert sorted(os.listdir(tmp_path)) == [".fingerprints.json", "m.gguf"]
