"""The Hugging Face Hub: what a repository holds, and where its files are."""

from __future__ import annotations

from huggingface_hub import HfApi, ModelInfo, get_token, hf_hub_url

from app.provider.hub.names import is_safe
from app.provider.hub.plan import HubFile, Listing

ANSWER_SECONDS = 20.0


def listing(endpoint: str, repo: str, token: str) -> Listing:
    """List the files of ``repo``; raises what the client raises."""
    client = HfApi(endpoint, token=token or None)
    info = client.model_info(repo, files_metadata=True, timeout=ANSWER_SECONDS)
    found = (_file(info, sibling) for sibling in info.siblings or [])
    return Listing(
        hub="huggingface",
        repo=repo,
        revision=info.sha or "main",
        licence=str(getattr(info.card_data, "license", None) or "not stated"),
        files=tuple(file for file in found if is_safe(file.path)),
    )


def address(endpoint: str, repo: str, token: str, file: HubFile) -> tuple[str, dict[str, str]]:
    """The URL of a file, and the headers to ask with."""
    token = token or get_token() or ""
    url = hf_hub_url(repo, file.path, revision=file.revision, endpoint=endpoint)
    return url, {"authorization": f"Bearer {token}"} if token else {}


def _file(info: ModelInfo, sibling: object) -> HubFile:
    lfs = getattr(sibling, "lfs", None)
    return HubFile(
        path=str(getattr(sibling, "rfilename", "")),
        size=getattr(sibling, "size", None) or 0,
        sha256=lfs.sha256 if lfs else "",
        git_id="" if lfs else str(getattr(sibling, "blob_id", None) or ""),
        revision=info.sha or "main",
    )
