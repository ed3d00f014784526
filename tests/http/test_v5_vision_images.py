"""Pictures through their conversation: kept once, listed, given, let go with their last use."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from app import versions
from tests.conftest import serving
from tests.http import stored
from tests.http.owners import Owner, owners
from tests.http.vision import CHAT, URL, asked, fetched, picture, problem, sent
from tests.store import audit


@pytest.fixture(scope="module")
def url(shared_database_url: str) -> str:
    return shared_database_url


@pytest.fixture(scope="module")
def owner(url: str, empty_models: Path) -> Iterator[Owner]:
    with owners(models_dir=empty_models, database_url=url, page_size=3) as owner:
        yield owner


@pytest.fixture
def me(owner: Owner) -> httpx.Client:
    return owner()


def kept(url: str) -> set[str]:
    return {row["sha256"] for row in audit.table(url, "images")}


def test_a_picture_is_kept_once_whoever_sends_it_how_often(owner: Owner, url: str) -> None:
    before = kept(url)
    answers = [asked(owner(), "hi", *[picture(41, 30)] * 3) for _ in range(2)]
    names = {image["sha256"] for answer in answers for image in answer["images"]}
    assert len(names) == 1
    assert kept(url) == before | names


def test_it_goes_with_the_last_conversation_that_uses_it(owner: Owner, url: str) -> None:
    mine, yours = owner(), owner()
    before = kept(url)
    one = asked(mine, "hi", picture(42, 30), picture(43, 30))
    other = asked(yours, "hi", picture(42, 30))
    shared, own = [image["sha256"] for image in one["images"]]
    assert mine.delete(f"{URL}/{one['conversation_id']}").status_code == 204
    assert kept(url) == before | {shared}
    fetched(yours, other["conversation_id"], shared)
    assert yours.delete(f"/api/v4/conversations/{other['conversation_id']}").status_code == 204
    assert kept(url) == before
    assert own not in before


def test_pictures_are_listed_page_by_page(me: httpx.Client) -> None:
    sizes = [(width, 31) for width in (44, 45, 46, 47, 48)]
    answer = asked(me, "hi", *[picture(*size) for size in sizes[:3]])
    here = answer["conversation_id"]
    asked(me, "and", picture(*sizes[3]), picture(*sizes[4]), conversation_id=here)
    page = me.get(f"{URL}/{here}/images").json()
    first = page["images"]
    rest = me.get(f"{URL}/{here}/images", params={"cursor": page["next_cursor"]}).json()
    assert [(one["width"], one["height"]) for one in first + rest["images"]] == sizes
    assert (len(first), rest["next_cursor"]) == (3, None)
    assert {one["message_id"] for one in first} == {answer["parent_id"]}
    for one in first:
        assert len(fetched(me, here, one["sha256"])) == one["size_bytes"]


@pytest.mark.parametrize("cursor", ["x", "", "e30"])
def test_a_cursor_of_something_else_is_refused(me: httpx.Client, cursor: str) -> None:
    here = asked(me, "hi")["conversation_id"]
    refused = me.get(f"{URL}/{here}/images", params={"cursor": cursor})
    stored.refused(refused, 422, "invalid-request", "/cursor")


def test_a_cursor_of_another_conversation_is_refused(me: httpx.Client) -> None:
    one = asked(me, "hi", picture(44, 31), picture(45, 31))["conversation_id"]
    other = asked(me, "hi")["conversation_id"]
    cursor = me.get(f"{URL}/{one}/images", params={"limit": 1}).json()["next_cursor"]
    refused = me.get(f"{URL}/{other}/images", params={"cursor": cursor})
    stored.refused(refused, 422, "invalid-request", "/cursor")


def test_a_picture_may_be_cached_by_its_owner_alone_and_for_ever(me: httpx.Client) -> None:
    answer = asked(me, "hi", picture(49, 31))
    name = answer["images"][0]["sha256"]
    place = f"{URL}/{answer['conversation_id']}/images/{name}"
    given = me.get(place)
    assert given.headers["content-type"] == "image/png"
    assert given.headers["x-content-type-options"] == "nosniff"
    assert given.headers["cache-control"] == "private, max-age=31536000, immutable"
    assert given.headers["vary"] == "Authorization, X-API-Key"
    assert given.headers["etag"] == f'"{name}"'
    known = me.get(place, headers={"If-None-Match": f'"x", W/"{name}"'})
    assert (known.status_code, known.content) == (304, b"")
    assert known.headers["etag"] == given.headers["etag"]
    assert me.get(place, headers={"If-None-Match": '"x"'}).content == given.content


def test_to_anyone_else_it_does_not_exist(owner: Owner) -> None:
    mine, yours = owner(), owner()
    answer = asked(mine, "hi", picture(50, 31))
    here, name = answer["conversation_id"], answer["images"][0]["sha256"]
    own = asked(yours, "hi")["conversation_id"]
    for place in (f"{here}/images", f"{here}/images/{name}"):
        refused = yours.get(f"{URL}/{place}", headers={"If-None-Match": f'"{name}"'})
        assert problem(refused) == (404, "conversation-not-found")
    refused = yours.get(f"{URL}/{own}/images/{name}", headers={"If-None-Match": "*"})
    assert problem(refused) == (404, "image-not-found"), "knowing the hash is not enough"
    for conversation in (here, stored.GONE):
        body = {"message": "hi", "conversation_id": conversation}
        for images in ([], [sent(picture())]):
            refused = yours.post(CHAT, json=body | {"images": images})
            assert problem(refused) == (404, "conversation-not-found")


def test_every_new_route_with_a_conversation_asks_whose_it_is(owner: Owner) -> None:
    mine, yours = owner(), owner()
    answer = asked(mine, "hi", picture(51, 31))
    names = {
        "conversation_id": answer["conversation_id"],
        "message_id": answer["message_id"],
        "sha256": answer["images"][0]["sha256"],
    }
    for route in versions.compose(versions.RELEASES):
        if "{conversation_id}" in route.path:
            (method,) = route.methods or set[str]()
            place = f"/api/{versions.NAMES[-1]}{route.path.format(**names)}"
            body: Any = {"title": "mine now"} if method == "PATCH" else None
            if "tool_results" in place:
                body = {"results": [{"call_id": "c", "content": "x"}]}
            refused = yours.request(method, place, json=body)
            assert problem(refused) == (404, "conversation-not-found"), place
    assert asked(mine, "and", conversation_id=names["conversation_id"])


@pytest.mark.parametrize("name", ["0" * 64, "x", "%00", "%ff", "a" * 300])
def test_no_such_picture(me: httpx.Client, name: str) -> None:
    here = asked(me, "hi", picture(52, 31))["conversation_id"]
    answer = me.get(f"{URL}/{here}/images/{name}")
    assert answer.status_code in {404, 422}, answer.text


def test_pictures_outlive_the_server(empty_models: Path, tmp_path: Path) -> None:
    database = f"sqlite:///{tmp_path}/sllm.db"
    with serving(models_dir=empty_models, database_url=database) as client:
        first = asked(client, "hi", picture(53, 31))
    with serving(models_dir=empty_models, database_url=database) as client:
        here = {"conversation_id": first["conversation_id"]}
        again = asked(client, "and", **here)
        assert again["context"]["images"] == first["context"]["images"]
        fetched(client, first["conversation_id"], first["images"][0]["sha256"])


def test_at_the_end_everything_is_sound(owner: Owner, url: str) -> None:
    """The last test of the module: looks at what all of them have left."""
    audit.require_sound(url)
