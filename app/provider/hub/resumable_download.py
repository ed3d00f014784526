"""Downloads a URL into a file, and goes on where the file ends."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Mapping
from typing import BinaryIO

import httpx2
from huggingface_hub import constants
from huggingface_hub.utils import (  # type: ignore[attr-defined] # documented, not re-exported
    hf_raise_for_status,
    http_stream_backoff,
)

log = logging.getLogger(__name__)

_CHUNK = 2**20
"""Bytes that are written at once; a killed download loses no more than these."""
_TRIES = 5
"""Attempts in a row that may bring nothing."""
_PAUSE_SECONDS = 1.0
_INTERRUPTIONS = (httpx2.NetworkError, httpx2.TimeoutException, httpx2.RemoteProtocolError)
_WAIT_AND_RETRY = (408, 429)
_IGNORED_RANGE = 200
"""Status of an answer that begins at the start of the file though a later part was asked for."""


def download_rest(
    url: str,
    headers: Mapping[str, str],
    sink: BinaryIO,
    size: int,
    report: Callable[[int], None],
) -> None:
    """Append to ``sink`` what is missing of a file of ``size`` bytes.

    ``report`` is given the bytes that are there. Raises OSError if the file has another size, and
    whatever the client raises.
    """
    failures = 0
    while sink.tell() < size:
        before = sink.tell()
        try:
            _append(url, headers, sink, size, report)
            break
        except _INTERRUPTIONS as error:
            failures = 1 if sink.tell() > before else failures + 1
            if failures > _TRIES:
                raise
            log.warning("the download was interrupted and goes on: %s", error)
            time.sleep(_PAUSE_SECONDS)
    if sink.tell() != size:
        raise OSError(f"a file has {sink.tell():,} bytes instead of {size:,}")


def _append(
    url: str,
    headers: Mapping[str, str],
    sink: BinaryIO,
    size: int,
    report: Callable[[int], None],
) -> None:
    """Append what one answer brings, but stop when it brings more than ``size`` bytes."""
    # A compressed answer could not be continued.
    asked = {**headers, "accept-encoding": "identity"}
    if sink.tell():
        asked["range"] = f"bytes={sink.tell()}-"
    with http_stream_backoff(
        "GET",
        url,
        headers=asked,
        timeout=constants.HF_HUB_DOWNLOAD_TIMEOUT,
        retry_on_exceptions=(),
        retry_on_status_codes=_WAIT_AND_RETRY,
    ) as response:
        hf_raise_for_status(response)
        if response.status_code == _IGNORED_RANGE:
            sink.truncate(0)
            sink.seek(0)
        for chunk in response.iter_bytes(_CHUNK):
            sink.write(chunk)
            report(sink.tell())
            if sink.tell() > size:
                return
