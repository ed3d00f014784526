"""Questions about pictures: what the model is shown, what is told and what is kept."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path
from typing import Any

import httpx
import pytest
from PIL import Image

from app import versions
from tests.conftest import serving
from tests.http.events import parsed
from tests.http.vision import (
    CHAT,
    PLAIN,
    STREAM,
    URL,
    asked,
    fetched,
    opened,
    picture,
    problem,
    sent,
    shown,
)
from tests.media.files import drawing, exif, saved
from tests.store import audit


@pytest.fixture(scope="module")
def url(shared_database_url: str) -> str:
    return shared_database_url


@pytest.fixture(scope="module")
def client(url: str, empty_models: Path) -> Iterator[httpx.Client]:
    with serving(models_dir=empty_models, database_url=url, max_images=4) as client:
        yield client


# ---------------------------------------------------------------- what is told


def test_an_answer_says_what_was_sent_and_what_was_seen(client: httpx.Client) -> None:
    jpeg = picture(2100, 60, "JPEG")
    answer = asked(client, "What is it?", jpeg, picture(40, 30))
    long, small = answer["images"]
    assert answer["model"] == "echo-vision"
    assert long["original"] == {
        "mime": "image/jpeg",
        "width": 2100,
        "height": 60,
        "bytes": len(jpeg),
    }
    assert (long["width"], long["height"]) == (2048, 59)
    assert long["seen"] == {"width": 1008, "height": 56, "tokens": 72}
    assert small["seen"] == {"width": 56, "height": 56, "tokens": 4}
    assert answer["usage"]["prompt_tokens"] == 72 + 4 + 3
    tokens = {one["sha256"]: one["tokens"] for one in answer["context"]["images"]}
    assert tokens == {long["sha256"]: 72, small["sha256"]: 4}
    assert shown(answer) == ["2048x59", "40x30"]


def test_base64_may_come_in_lines(client: httpx.Client) -> None:
    lines = base64.encodebytes(picture()).decode()
    for given in ({"base64": lines}, {"url": f"data:image/png;base64,{lines}"}):
        answer = client.post(CHAT, json={"message": "What is it?", "images": [given]})
        assert answer.status_code == 200, answer.text
        assert answer.json()["images"][0]["width"] == 40


def test_a_stream_says_the_same_at_its_end(client: httpx.Client) -> None:
    body = {"message": "What is it?", "images": [sent(picture())]}
    events = parsed(client.post(STREAM, json=body).text)
    whole = asked(client, "What is it?", picture())
    assert "images" not in events[0].data
    assert (events[-1].name, events[-1].data["images"]) == ("done", whole["images"])
    assert events[-1].data["context"] == whole["context"]


def test_every_example_of_the_documentation_runs(client: httpx.Client) -> None:
    paths = versions.document("v5")["paths"]
    for path in (CHAT, STREAM, PLAIN, f"{PLAIN}/stream", "/api/v5/tokens", f"{URL}/import"):
        content = paths[path]["post"]["requestBody"]["content"]["application/json"]
        assert content["examples"]
        for example in content["examples"].values():
            answer = client.post(path, json=example["value"])
            assert answer.is_success, answer.text


# ---------------------------------------------------------------- what is kept


def test_what_is_kept_is_the_picture_and_nothing_else_of_the_file(client: httpx.Client) -> None:
    turned = saved(drawing(), "JPEG", quality=95, exif=exif(6), comment=b"a secret place")
    answer = asked(client, "Which way up?", turned)
    (image,) = answer["images"]
    kept = fetched(client, answer["conversation_id"], image["sha256"])
    assert (image["width"], image["height"], image["size_bytes"]) == (30, 40, len(kept))
    assert (image["original"]["width"], image["original"]["height"]) == (40, 30)
    read = Image.open(BytesIO(kept))
    assert (read.format, read.mode, read.size, read.info) == ("PNG", "RGB", (30, 40), {})
    assert b"secret" not in kept


def test_messages_carry_their_pictures(client: httpx.Client) -> None:
    body = {
        "message": "What does it say?",
        "images": [sent(picture(), ocr="STOP", lens_keywords="sign", detail="low")],
    }
    answer = client.post(CHAT, json=body).json()
    question, reply = opened(client, answer)
    (kept,) = question["images"]
    assert kept == {key: value for key, value in answer["images"][0].items() if key != "seen"}
    assert (kept["ocr"], kept["lens_keywords"], kept["lens_local_keywords"]) == ("STOP", "sign", "")
    assert (reply["images"], reply["context"]) == ([], answer["context"])
    assert opened(client, answer, branch="all") == [question, reply]


def test_earlier_versions_read_such_a_conversation_as_it_was(client: httpx.Client) -> None:
    answer = asked(client, "What is it?", picture())
    name = answer["conversation_id"]
    old = client.get(f"/api/v4/conversations/{name}").json()["messages"]
    assert [sorted(one) for one in old] == [sorted({*one} - {"images"}) for one in old]
    assert "images" not in old[1]["context"]
    assert client.get(f"/api/v4/conversations/{name}/export").json()["version"] == 1
    again = client.post("/api/v4/chat", json={"message": "And?", "conversation_id": name}).json()
    assert shown(again) == ["40x30"]
    assert "images" not in again


# ---------------------------------------------------------------- later questions


def test_a_later_question_is_about_the_same_pictures(client: httpx.Client) -> None:
    first = asked(client, "What is it?", picture(40, 30), picture(50, 30))
    here = {"conversation_id": first["conversation_id"]}
    second = asked(client, "And in the corner?", **here)
    third = asked(client, "And here?", picture(60, 30), route=PLAIN, **here)
    assert (second["model"], second["images"]) == ("echo-vision", [])
    assert shown(second) == ["40x30", "50x30"]
    assert len(second["context"]["images"]) == 2
    assert shown(third) == ["40x30", "50x30", "60x30"]
    assert [one["width"] for one in third["images"]] == [60]
    assert third["images"][0]["seen"]["width"] == 84


def test_each_branch_has_its_own_pictures(client: httpx.Client) -> None:
    first = asked(client, "What is it?", picture(40, 30))
    here = {"conversation_id": first["conversation_id"]}
    asked(client, "And this?", picture(50, 30), **here)
    other = asked(client, "And that?", picture(60, 30), parent_id=first["message_id"], **here)
    assert shown(other) == ["40x30", "60x30"]
    edited = asked(client, "Or this?", picture(70, 30), parent_id=None, **here)
    assert shown(edited) == ["70x30"]


def test_an_answer_made_again_sees_the_pictures_again(client: httpx.Client) -> None:
    first = asked(client, "What is it?", picture(40, 30))
    place = f"{URL}/{first['conversation_id']}/messages/{first['message_id']}/regenerate"
    again = client.post(place).json()
    assert (shown(again), again["images"]) == (["40x30"], first["images"])
    done = parsed(client.post(f"{place}/stream").text)[-1]
    assert done.data["images"] == first["images"]


def test_tokens_counts_pictures(client: httpx.Client) -> None:
    body = {"message": "What is it?", "images": [sent(picture())]}
    counted = client.post("/api/v5/tokens", json=body).json()
    assert (counted["model"], counted["prompt_tokens"]) == ("echo-vision", 4 + 3)
    answer = asked(client, "What is it?", picture())
    body["conversation_id"] = answer["conversation_id"]
    later = client.post("/api/v5/tokens", json=body).json()
    spoken = len(answer["message"]["content"].split())
    assert later["prompt_tokens"] == 4 + 3 + spoken + 4 + 3


# ---------------------------------------------------------------- more than a prompt takes


def test_more_pictures_than_a_prompt_takes_leave_with_their_exchange(client: httpx.Client) -> None:
    first = asked(client, "one", picture(40, 30), picture(50, 30))
    here: dict[str, Any] = {"conversation_id": first["conversation_id"]}
    second = asked(client, "two", picture(60, 30), picture(70, 30), **here)
    assert shown(second) == ["40x30", "50x30", "60x30", "70x30"]
    refused = client.post(
        CHAT,
        json={"message": "three", "images": [sent(picture(80, 30))], "overflow": "error"} | here,
    )
    assert problem(refused) == (400, "unsupported-input")
    third = asked(client, "three", picture(80, 30), **here)
    assert shown(third) == ["60x30", "70x30", "80x30"]
    assert third["context"]["dropped"] == [first["parent_id"], first["message_id"]]
    fourth = asked(client, "four", **here)
    assert shown(fourth) == ["60x30", "70x30", "80x30"], "the cut is remembered"


def test_pictures_that_do_not_fit_into_the_context_leave_too(client: httpx.Client) -> None:
    large = [picture(1008, side) for side in (1000, 1001, 1002)]  # 1296 tokens each
    first = asked(client, "one", large[0])
    here = {"conversation_id": first["conversation_id"]}
    asked(client, "two", large[1], **here)
    third = asked(client, "three", large[2], **here)
    assert shown(third) == ["1008x1002"]
    assert third["context"]["dropped"]
    assert third["images"][0]["seen"]["tokens"] == 1296


def test_at_the_end_everything_is_sound(client: httpx.Client, url: str) -> None:
    """The last test of the module: looks at what all of them have left."""
    audit.require_used(url)
