"""Downloads one GGUF file from the Hugging Face Hub, or a mirror of it, into the models folder.

A file appears there whole and checked, or not at all: until then it grows in ``.incoming``, where
the next attempt picks it up.

HubError
├── NotOnHub         no such repository or file, or it does not say which file is meant
├── NotAllowed       the repository wants an account, a token or its terms accepted
├── HubUnreachable   no network, a silent or broken server
├── NoSpace          the disk is too small
├── Damaged          what arrived is not what the hub announced
└── NameTaken        another file or another download has that name
"""

from __future__ import annotations

import errno
import fcntl
import hashlib
import os
import re
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import httpx2
from huggingface_hub import HfApi, ModelInfo, get_token, hf_hub_url
from huggingface_hub.errors import (
    GatedRepoError,
    HfHubHTTPError,
    HFValidationError,
    OfflineModeIsEnabled,
    RemoteEntryNotFoundError,
    RepositoryNotFoundError,
)
from huggingface_hub.file_download import http_get

INCOMING = ".incoming"
ANSWER_SECONDS = 20.0
_PART_OF_SEVERAL = re.compile(r"-\d{5}-of-\d{5}\.gguf$")


class HubError(Exception):
    """Root of the tree; ``str()`` is one sentence fit for the user."""


class NotOnHub(HubError):
    """There is no such thing to download."""


class NotAllowed(HubError):
    """The hub knows the file and refuses it to this user."""


class HubUnreachable(HubError):
    """The hub did not answer, or not sensibly; what has arrived is kept."""


class NoSpace(HubError):
    """The file does not fit onto the disk."""


class Damaged(HubError):
    """The file's checksum is wrong; it has been deleted."""


class NameTaken(HubError):
    """Putting the file in its place would destroy or disturb something else."""


@dataclass(frozen=True, slots=True)
class HubFile:
    """A file at one revision of a repository. ``sha256`` is empty where the hub gives none."""

    repo: str
    path: str
    revision: str
    size: int
    sha256: str
    licence: str

    @property
    def name(self) -> str:
        """What the file is called in the models folder."""
        return Path(self.path).name


def find(endpoint: str, repo: str, wanted: str = "") -> HubFile:
    """Choose a GGUF file of ``repo``: by its path, or by a part of its name that fits only one.

    Raises NotOnHub, NotAllowed or HubUnreachable.
    """
    with _plain_words(endpoint, repo):
        info = HfApi(endpoint).model_info(repo, files_metadata=True, timeout=ANSWER_SECONDS)
    files = [_file(repo, info, sibling) for sibling in info.siblings or []]
    models = [file for file in files if file.path.endswith(".gguf")]
    file = _choose(models, wanted, repo)
    if _PART_OF_SEVERAL.search(file.path):
        raise NotOnHub(f"{file.path} is one part of a model that was cut up: choose a whole file.")
    return file


def fetch(endpoint: str, file: HubFile, models_dir: Path) -> Path:
    """Download ``file`` with a progress bar, check it and put it into ``models_dir``.

    Goes on where an earlier attempt stopped. Raises any HubError.
    """
    target = models_dir / file.name
    if target.exists():
        return _same_or_refuse(target, file)
    part = models_dir / INCOMING / f"{file.sha256 or file.revision}.part"
    part.parent.mkdir(parents=True, exist_ok=True)
    with part.open("ab") as sink, _plain_words(endpoint, file.repo):
        _claim(sink, file)
        _download(endpoint, file, sink)
    if not _is(part, file):
        part.unlink()
        raise Damaged(f"{file.name} arrived damaged and was deleted: run the same command again.")
    os.replace(part, target)
    return target


def _file(repo: str, info: ModelInfo, sibling: object) -> HubFile:
    lfs = getattr(sibling, "lfs", None)
    return HubFile(
        repo=repo,
        path=str(getattr(sibling, "rfilename", "")),
        revision=info.sha or "main",
        size=getattr(sibling, "size", None) or 0,
        sha256=lfs.sha256 if lfs else "",
        licence=str(getattr(info.card_data, "license", None) or "not stated"),
    )


def _choose(files: Sequence[HubFile], wanted: str, repo: str) -> HubFile:
    exact = [file for file in files if file.path == wanted]
    found = exact or [file for file in files if wanted.lower() in file.path.lower()]
    if len(found) == 1:
        return found[0]
    if not files:
        raise NotOnHub(f"{repo} has no GGUF file.")
    names = "".join(f"\n  {repo}:{file.path}  ({file.size / 1e6:,.0f} MB)" for file in files)
    raise NotOnHub(f"Which file of {repo} is meant? Name one of:{names}")


def _same_or_refuse(target: Path, file: HubFile) -> Path:
    if _is(target, file):
        return target
    raise NameTaken(f"{target} is there already and is another file: rename or delete it first.")


def _is(path: Path, file: HubFile) -> bool:
    if path.stat().st_size != file.size:
        return False
    with path.open("rb") as content:
        return not file.sha256 or hashlib.file_digest(content, "sha256").hexdigest() == file.sha256


def _claim(sink: BinaryIO, file: HubFile) -> None:
    try:
        fcntl.flock(sink, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        raise NameTaken(f"{file.name} is being downloaded by another process.") from error


def _download(endpoint: str, file: HubFile, sink: BinaryIO) -> None:
    if sink.tell() > file.size:
        sink.truncate(0)
    missing, free = file.size - sink.tell(), shutil.disk_usage(sink.name).free
    if missing > free:
        raise NoSpace(
            f"{file.name} needs {missing / 1e6:,.0f} MB, but only {free / 1e6:,.0f} MB are free."
        )
    token = get_token()
    http_get(
        hf_hub_url(file.repo, file.path, revision=file.revision, endpoint=endpoint),
        sink,
        resume_size=sink.tell(),
        headers={"authorization": f"Bearer {token}"} if token else {},
        expected_size=file.size,
        displayed_filename=file.name,
    )


@contextmanager
def _plain_words(endpoint: str, repo: str) -> Iterator[None]:
    """Turn what the hub's client raises into a HubError."""
    try:
        yield
    except GatedRepoError as error:
        raise NotAllowed(
            f"{repo} is gated: accept its terms at {endpoint}/{repo}, then set HF_TOKEN."
        ) from error
    except (RepositoryNotFoundError, HFValidationError) as error:
        raise NotOnHub(
            f"There is no public repository {repo!r} at {endpoint}; a private one needs HF_TOKEN."
        ) from error
    except RemoteEntryNotFoundError as error:
        raise NotOnHub(f"The file is no longer in {repo}: try again.") from error
    except HfHubHTTPError as error:
        raise _refusal(endpoint, repo, error.response.status_code) from error
    except (httpx2.HTTPError, OfflineModeIsEnabled) as error:
        raise HubUnreachable(
            f"{endpoint} cannot be reached; run the same command again to go on, "
            "or name a mirror in HF_ENDPOINT."
        ) from error
    except OSError as error:
        raise _disk_or_size(error, repo) from error


def _refusal(endpoint: str, repo: str, status: int) -> HubError:
    if status in {401, 403}:
        return NotAllowed(f"{endpoint} refuses {repo} ({status}): check HF_TOKEN and its rights.")
    return HubUnreachable(f"{endpoint} answered with status {status}: try again later.")


def _disk_or_size(error: OSError, repo: str) -> HubError:
    if error.errno == errno.ENOSPC:
        return NoSpace("The disk is full: make room and run the same command again to go on.")
    return HubUnreachable(f"The download from {repo} failed: {error}")
