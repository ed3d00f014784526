"""Many editors at once, at two servers on one database."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.conftest import serving
from tests.http.editing import MINE, PATH, made, put, versions
from tests.http.owners import client

pytestmark = pytest.mark.sql_differs

THREADS = 20


def at_once(works: list[Callable[[], httpx.Response]]) -> list[httpx.Response]:
    start = threading.Barrier(len(works))

    def run(work: Callable[[], httpx.Response]) -> httpx.Response:
        start.wait()
        return work()

    with ThreadPoolExecutor(len(works)) as pool:
        return list(pool.map(run, works))


@pytest.fixture(scope="module")
def replicas(shared_database_url: str, empty_models: Path) -> Iterator[list[httpx.Client]]:
    """Two servers on one database."""
    settings: dict[str, Any] = {"database_url": shared_database_url, "models_dir": empty_models}
    with (
        serving(api_keys=["racer"], **settings) as one,
        serving(api_keys=["racer"], **settings) as two,
        client(one, "racer") as first,
        client(two, "racer") as second,
    ):
        yield [first, second]


def test_many_editors_at_once_lose_no_version(replicas: list[httpx.Client]) -> None:
    made(replicas[0], name="free")
    answers = at_once(
        [partial(put, replicas[number % 2], "free", f"Edit {number}.") for number in range(THREADS)]
    )
    assert {answer.status_code for answer in answers} == {200}
    answered = {answer.json()["version"]: answer.json()["system"] for answer in answers}
    found = {each["version"]: each["template"]["system"] for each in versions(replicas[1], "free")}
    assert found == answered | {1: MINE["system"]}
    assert sorted(found) == list(range(1, THREADS + 2))


def test_one_editor_wins_each_etag(replicas: list[httpx.Client]) -> None:
    tag = made(replicas[0], name="guarded").headers["etag"]
    for round_ in range(5):
        answers = at_once(
            [
                partial(put, replicas[number % 2], "guarded", f"Edit {number}.", If_Match=tag)
                for number in range(THREADS)
            ]
        )
        codes = Counter(answer.status_code for answer in answers)
        assert codes == {200: 1, 412: THREADS - 1}, round_
        (winner,) = [answer for answer in answers if answer.status_code == 200]
        tag = winner.headers["etag"]
        assert replicas[round_ % 2].get(f"{PATH}/guarded").json() == winner.json()
    assert len(versions(replicas[0], "guarded")) == 6


def test_one_of_many_makes_the_name(replicas: list[httpx.Client]) -> None:
    body = MINE | {"name": "new"}
    answers = at_once(
        [partial(replicas[number % 2].post, PATH, json=body) for number in range(THREADS)]
    )
    assert Counter(answer.status_code for answer in answers) == {201: 1, 409: THREADS - 1}
    assert [each["version"] for each in versions(replicas[0], "new")] == [1]


def test_one_of_many_deletes_it(replicas: list[httpx.Client]) -> None:
    made(replicas[0], name="old")
    answers = at_once(
        [partial(replicas[number % 2].delete, f"{PATH}/old") for number in range(THREADS)]
    )
    assert Counter(answer.status_code for answer in answers) == {204: 1, 404: THREADS - 1}
    assert [each["version"] for each in versions(replicas[0], "old")] == [2, 1]
