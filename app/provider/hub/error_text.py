"""Turns what the hub's client raises into errors for the user."""

from __future__ import annotations

import errno
from collections.abc import Iterator
from contextlib import contextmanager

import httpx2
from huggingface_hub.errors import (
    GatedRepoError,
    HfHubHTTPError,
    HFValidationError,
    OfflineModeIsEnabled,
    RemoteEntryNotFoundError,
    RepositoryNotFoundError,
)

from app.provider.hub.errors import HubError, HubUnreachable, NoSpace, NotAllowed, NotOnHub


@contextmanager
def as_hub_errors(endpoint: str, repo: str) -> Iterator[None]:
    """Turn what the hub's client raises into a HubError."""
    try:
        yield
    except GatedRepoError as error:
        raise NotAllowed(
            f"{repo} is gated: accept its terms at {endpoint}/{repo}, then set HF_TOKEN."
        ) from error
    except (RepositoryNotFoundError, HFValidationError) as error:
        raise _no_repository(endpoint, repo) from error
    except RemoteEntryNotFoundError as error:
        raise NotOnHub(f"The file is no longer in {repo}: try again.") from error
    except (HfHubHTTPError, httpx2.HTTPStatusError) as error:
        raise _refusal(endpoint, repo, error.response.status_code) from error
    except (httpx2.HTTPError, OfflineModeIsEnabled) as error:
        raise HubUnreachable(
            f"{endpoint} cannot be reached: try again, what has arrived is kept; or name a mirror "
            "in HF_ENDPOINT or MODELSCOPE_ENDPOINT."
        ) from error
    except OSError as error:
        raise _disk_or_size(error, repo) from error
    except (ValueError, LookupError, TypeError, AttributeError) as error:
        # The client does not check answers, which may be the web page of a proxy.
        raise HubUnreachable(f"{endpoint} gave an answer that makes no sense: {error}") from error


def _no_repository(endpoint: str, repo: str) -> NotOnHub:
    return NotOnHub(
        f"There is no public repository {repo!r} at {endpoint}; a private one needs a token "
        "(HF_TOKEN or MODELSCOPE_API_TOKEN)."
    )


def _refusal(endpoint: str, repo: str, status: int) -> HubError:
    if status in {401, 403}:
        return NotAllowed(
            f"{endpoint} refuses {repo} ({status}): check the token (HF_TOKEN or "
            "MODELSCOPE_API_TOKEN) and its rights."
        )
    if status == 404:
        return _no_repository(endpoint, repo)
    return HubUnreachable(f"{endpoint} answered with status {status}: try again later.")


def _disk_or_size(error: OSError, repo: str) -> HubError:
    if error.errno == errno.ENOSPC:
        return NoSpace("The disk is full: make room and try again, what has arrived is kept.")
    return HubUnreachable(f"The download from {repo} failed: {error}")
