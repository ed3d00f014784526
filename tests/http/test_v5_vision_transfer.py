"""Conversations with pictures as files."""

from __future__ import annotations

import base64
from collections.abc import Callable
from copy import deepcopy
from typing import Any

import httpx
import pytest

from app.v5.models.transfer import EXAMPLES, MOST_IMAGES
from app.v5.services import transfer
from tests.http.stored import found, refused
from tests.http.vision import URL, asked, fetched, opened, picture, problem, sent, shown
from tests.media.files import jpeg
from tests.store import audit

File = dict[str, Any]
PICTURED: File = EXAMPLES["picture"]["value"]


def exported(client: httpx.Client, conversation: str, **query: Any) -> File:
    return found(client.get(f"{URL}/{conversation}/export", params=query))


def imported(client: httpx.Client, file: File) -> str:
    answer = client.post(f"{URL}/import", json=file)
    conversation = found(answer, 201)
    assert answer.headers["location"] == f"{URL}/{conversation['id']}"
    return str(conversation["id"])


def pictured(client: httpx.Client) -> str:
    """A conversation with three pictures, two of them the same, on two branches."""
    images = [sent(picture(40, 30), ocr="STOP"), sent(picture(50, 30, "JPEG"))]
    first = asked(client, "one", images=images)
    here = {"conversation_id": first["conversation_id"]}
    asked(client, "two", picture(40, 30), **here)
    asked(client, "apart", parent_id=None, **here)
    return str(here["conversation_id"])


def without_ids(client: httpx.Client, conversation: str) -> list[dict[str, Any]]:
    changing = {"id", "parent_id"}
    return [
        {key: value for key, value in message.items() if key not in changing}
        for message in opened(client, {"conversation_id": conversation}, branch="all")
    ]


def test_the_way_there_and_back(me: httpx.Client) -> None:
    old = pictured(me)
    file = exported(me, old)
    assert (file["version"], len(file["conversation"]["images"])) == (2, 2)
    new = imported(me, file)
    assert without_ids(me, new) == without_ids(me, old)
    for image in me.get(f"{URL}/{new}/images").json()["images"]:
        assert fetched(me, new, image["sha256"]) == fetched(me, old, image["sha256"])
    leaf = opened(me, {"conversation_id": new}, branch="all")[3]["id"]
    assert shown(asked(me, "on", conversation_id=new, parent_id=leaf)) == [
        "40x30",
        "50x30",
        "40x30",
    ]


def test_without_pictures_it_is_the_file_of_v4(me: httpx.Client) -> None:
    plain = asked(me, "hi")["conversation_id"]
    old, new = pictured(me), "/api/v4/conversations/import"
    for file in (exported(me, plain), exported(me, old, images=False)):
        assert file["version"] == 1
        assert me.post(new, json=file).status_code == 201
        assert imported(me, file)
    refusal = me.post(new, json=exported(me, old))
    assert refusal.status_code == 422
    assert refusal.json()["errors"][0]["pointer"] == "/version"


def test_markdown_is_that_of_v4(me: httpx.Client) -> None:
    here = pictured(me)
    texts = [
        me.get(f"/api/{version}/conversations/{here}/export", params={"format": "markdown"}).text
        for version in ("v4", "v5")
    ]
    assert texts[0] == texts[1]


def test_a_picture_from_elsewhere_is_decoded_anew(me: httpx.Client) -> None:
    file = deepcopy(PICTURED)
    file["conversation"]["images"][0]["base64"] = base64.b64encode(jpeg(comment=b"hidden")).decode()
    here = imported(me, file)
    (image,) = me.get(f"{URL}/{here}/images").json()["images"]
    assert (image["original"]["mime"], image["width"]) == ("image/jpeg", 40)
    assert fetched(me, here, image["sha256"]).startswith(b"\x89PNG")


def changed(**changes: Callable[[File], Any]) -> File:
    file = deepcopy(PICTURED)
    for change in changes.values():
        change(file["conversation"])
    return file


def test_what_no_export_would_hold_is_refused(me: httpx.Client, url: str) -> None:
    seen = {"sha256": "b", "width": 1, "height": 1, "tokens": 1}
    wrong: dict[str, File] = {
        "/version": PICTURED | {"version": 1},
        "/conversation/images": changed(
            twice=lambda it: it["images"].append(it["images"][0]),
        ),
        "/conversation/messages/1/images": changed(
            answer=lambda it: it["messages"][1].update(images=[{"sha256": "a"}])
        ),
        "/conversation/messages/0/images/0/sha256": changed(
            stranger=lambda it: it["messages"][0].update(images=[{"sha256": "b"}])
        ),
        "/conversation/messages/1/seen/0/sha256": changed(
            stranger=lambda it: it["messages"][1].update(seen=[seen])
        ),
    }
    before = audit.table(url, "images"), len(audit.conversations(url))
    for pointer, file in wrong.items():
        refused(me.post(f"{URL}/import", json=file), 422, "invalid-request", pointer)
    many = changed(many=lambda it: it.update(images=it["images"] * (MOST_IMAGES + 1)))
    refused(me.post(f"{URL}/import", json=many), 422, "invalid-request", "/conversation/images")
    broken = changed(broken=lambda it: it["images"][0].update(base64="AAAA"))
    assert problem(me.post(f"{URL}/import", json=broken)) == (415, "image-type-not-supported")
    assert (audit.table(url, "images"), len(audit.conversations(url))) == before


def test_a_picture_of_the_file_that_nobody_uses_is_not_kept(me: httpx.Client, url: str) -> None:
    before = audit.table(url, "images")
    file = changed(unused=lambda it: it["messages"][0].pop("images"))
    imported(me, file)
    assert audit.table(url, "images") == before


def test_more_than_a_file_may_hold(me: httpx.Client, monkeypatch: pytest.MonkeyPatch) -> None:
    here = pictured(me)
    monkeypatch.setattr(transfer, "RESERVED_BYTES", 32 * 2**20 - 200)
    refusal = me.get(f"{URL}/{here}/export")
    refused(refusal, 422, "invalid-request", "/images")
    assert "images=false" in refusal.json()["detail"]
    assert exported(me, here, images=False)["version"] == 1


def test_at_the_end_everything_is_sound(me: httpx.Client, url: str) -> None:
    """The last test of the module: looks at what all of them have left."""
    audit.require_used(url)
