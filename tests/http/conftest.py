"""A server with stored conversations, on each kind of database, and somebody who has none yet."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from tests.http.owners import Owner, owners
from tests.http.stored import PAGE_SIZE


@pytest.fixture(scope="module")
def url(shared_database_url: str) -> str:
    """Of the database; for all tests of a module."""
    return shared_database_url


@pytest.fixture(scope="module")
def owner(url: str, empty_models: Path) -> Iterator[Owner]:
    with owners(
        models_dir=empty_models,
        database_url=url,
        page_size=PAGE_SIZE,
        context_length=10**7,
        default_max_tokens=10**7,
    ) as owner:
        yield owner


@pytest.fixture
def me(owner: Owner) -> httpx.Client:
    """An owner of nothing."""
    return owner()
