from __future__ import annotations

from pathlib import Path
from typing import Any

import httpx
import pytest
from sqlalchemy import insert

from app.storage.database import Database
from app.storage.ids import now
from app.storage.tables import Template
from app.templates.editing import MAX_TEMPLATES
from tests.conftest import serving
from tests.http.editing import ADDED, MINE, PATH, made, names, problem, reply_text
from tests.http.owners import Owner
from tests.http.test_templates import NAMES


def test_a_new_template_comes_back_as_it_was_sent(me: httpx.Client) -> None:
    answer = made(me)
    assert answer.headers["location"] == f"{PATH}/mine"
    assert answer.headers["etag"] == '"1"'
    template = answer.json()
    assert {key: template[key] for key in template.keys() - ADDED} == MINE
    assert (template["version"], template["source"]) == (1, "own")
    assert template["updated_at"].endswith("Z")
    read = me.get(answer.headers["location"])
    assert read.json() == template
    assert read.headers["etag"] == '"1"'
    assert type(read.json()["variables"]["share"]["default"]) is float


def test_the_list_has_the_built_ins_and_the_own_ones_in_order(me: httpx.Client) -> None:
    for name in ("mine", "a-b", "a_b", "ab", "9", "zz"):
        made(me, name=name)
    assert names(me) == sorted([*NAMES, "mine", "a-b", "a_b", "ab", "9", "zz"])
    listed = {
        each["name"]: each for each in me.get(PATH, params={"limit": 100}).json()["templates"]
    }
    assert listed["mine"]["source"] == "own"
    assert (listed["default"]["source"], listed["default"]["version"]) == ("built-in", 0)
    assert listed["default"]["updated_at"] is None
    assert listed["default"] == me.get(f"{PATH}/default").json()


@pytest.mark.parametrize("limit", [1, 2, 3, 5, 100])
def test_pages_make_the_whole_list_without_repeats(me: httpx.Client, limit: int) -> None:
    mine = {"default", "mine", "a-b", "a_b", "ab", "x1", "x2", "x3"}
    for name in (*mine, "sql_assistant"):
        made(me, name=name)
    assert me.delete(f"{PATH}/sql_assistant").status_code == 204
    found: list[dict[str, Any]] = []
    query: dict[str, Any] = {"limit": limit}
    while True:
        page = me.get(PATH, params=query).json()
        assert len(page["templates"]) <= limit
        found += page["templates"]
        if page["next_cursor"] is None:
            break
        assert page["next_cursor"] != query.get("cursor")
        query["cursor"] = page["next_cursor"]
    assert [each["name"] for each in found] == sorted({*NAMES} | mine)
    assert {each["name"] for each in found if each["source"] == "own"} == mine


def test_a_page_is_as_long_as_the_setting_unless_the_request_says(
    me: httpx.Client, tmp_path: Path
) -> None:
    assert me.get(PATH, params={"limit": 0}).status_code == 422
    assert me.get(PATH, params={"limit": 101}).status_code == 422
    with serving(models_dir=tmp_path, page_size=2) as two:
        assert len(two.get(PATH).json()["templates"]) == 2
        assert len(names(two, limit=3)) == 3


@pytest.mark.parametrize("cursor", ["", "x", "ü", "e30", "bnVsbA", "%00"])
def test_a_broken_cursor_is_refused(me: httpx.Client, cursor: str) -> None:
    for path in (PATH, f"{PATH}/default/versions"):
        answer = me.get(path, params={"cursor": cursor})
        assert problem(answer) == (422, "invalid-request")
        assert answer.json()["errors"][0]["pointer"] == "/cursor"


def test_a_cursor_of_another_list_is_refused(me: httpx.Client) -> None:
    made(me, name="one")
    me.put(f"{PATH}/one", json={"description": "Two.", "system": "Two."})
    names_on = me.get(PATH, params={"limit": 1}).json()["next_cursor"]
    versions_on = me.get(f"{PATH}/one/versions", params={"limit": 1}).json()["next_cursor"]
    for path, cursor in ((PATH, versions_on), (f"{PATH}/default/versions", versions_on)):
        assert me.get(path, params={"cursor": cursor}).status_code == 422
    assert me.get(f"{PATH}/one/versions", params={"cursor": names_on}).status_code == 422


def test_a_name_can_be_made_once(me: httpx.Client) -> None:
    made(me)
    again = me.post(PATH, json=MINE)
    assert problem(again) == (409, "template-exists")
    assert "PUT" in again.json()["detail"]
    assert me.get(f"{PATH}/mine").json()["version"] == 1


def test_the_name_of_a_built_in_makes_a_shadow_that_can_be_taken_away(me: httpx.Client) -> None:
    before = me.get(f"{PATH}/default").json()
    made(me, name="default")
    assert me.get(f"{PATH}/default").json()["system"] == MINE["system"]
    assert names(me) == NAMES
    assert reply_text(me, template="default") == "<hi>"
    assert me.delete(f"{PATH}/default").status_code == 204
    assert me.get(f"{PATH}/default").json() == before
    assert reply_text(me, template="default") == "hi"


def test_replacing_gives_a_new_version(me: httpx.Client) -> None:
    made(me)
    answer = me.put(f"{PATH}/mine", json={"description": "New.", "system": "New."})
    assert answer.status_code == 200
    assert answer.headers["etag"] == '"2"'
    template = answer.json()
    assert {key: template[key] for key in template.keys() - ADDED} == {
        "name": "mine",
        "description": "New.",
        "system": "New.",
        "variables": {},
    }
    assert me.get(f"{PATH}/mine").json() == template


def test_replacing_a_built_in_makes_the_shadow(me: httpx.Client, owner: Owner) -> None:
    answer = me.put(f"{PATH}/default", json={"description": "New.", "system": "New."})
    assert (answer.status_code, answer.json()["source"]) == (200, "own")
    assert owner().get(f"{PATH}/default").json()["source"] == "built-in"


def test_replacing_what_is_not_there_is_404(me: httpx.Client) -> None:
    body = {"description": "New.", "system": "New."}
    assert problem(me.put(f"{PATH}/nobody", json=body)) == (404, "template-not-found")
    made(me)
    assert me.delete(f"{PATH}/mine").status_code == 204
    assert problem(me.put(f"{PATH}/mine", json=body)) == (404, "template-not-found")


def test_the_name_in_the_body_may_be_left_out_but_not_differ(me: httpx.Client) -> None:
    made(me)
    assert me.put(f"{PATH}/mine", json=MINE).status_code == 200
    other = me.put(f"{PATH}/mine", json=MINE | {"name": "other"})
    assert problem(other) == (422, "invalid-request")
    assert other.json()["errors"][0]["pointer"] == "/name"
    assert me.put(f"{PATH}/mine", json=MINE | {"name": None}).status_code == 422
    assert me.put(f"{PATH}/mine", json=MINE | {"name": ""}).status_code == 422
    assert me.get(f"{PATH}/mine").json()["version"] == 2


def test_deleting(me: httpx.Client) -> None:
    made(me)
    gone = me.delete(f"{PATH}/mine")
    assert (gone.status_code, gone.content) == (204, b"")
    assert problem(me.get(f"{PATH}/mine")) == (404, "template-not-found")
    assert problem(me.delete(f"{PATH}/mine")) == (404, "template-not-found")
    assert problem(me.delete(f"{PATH}/default")) == (409, "template-built-in")
    assert names(me) == NAMES


def test_a_deleted_name_can_be_made_again_and_goes_on_counting(me: httpx.Client) -> None:
    made(me)
    me.delete(f"{PATH}/mine")
    answer = made(me, system="Again.")
    assert (answer.json()["version"], answer.headers["etag"]) == (3, '"3"')


def test_nobody_sees_what_another_key_made(me: httpx.Client, owner: Owner) -> None:
    other = owner()
    made(me)
    made(me, name="default")
    assert names(other) == NAMES
    assert other.get(f"{PATH}/default").json()["source"] == "built-in"
    path = f"{PATH}/mine"
    refused = [
        other.get(path),
        other.put(path, json=MINE),
        other.delete(path),
        other.get(f"{path}/versions"),
        other.post(f"{path}/versions/1/restore"),
        other.post("/api/v4/chat", json={"message": "hi", "template": "mine"}),
    ]
    assert {problem(answer) for answer in refused} == {(404, "template-not-found")}
    made(other, system="Theirs.")
    assert me.get(path).json()["system"] == MINE["system"]


def test_there_is_a_highest_number_of_own_templates(database_url: str, empty_models: Path) -> None:
    with serving(database_url=database_url, models_dir=empty_models) as client:
        database = Database(database_url)
        rows = [
            {"owner": "local", "name": f"t{number}", "version": 1, "created_at": now()}
            | {"body": MINE | {"name": f"t{number}"}}
            for number in range(MAX_TEMPLATES - 1)
        ]
        database.transact(lambda session: session.execute(insert(Template), rows), writes=True)
        database.close()
        made(client)
        full = client.post(PATH, json=MINE | {"name": "default"})
        assert problem(full) == (409, "too-many-templates")
        assert problem(client.put(f"{PATH}/default", json=MINE | {"name": "default"})) == (
            409,
            "too-many-templates",
        )
        assert client.put(f"{PATH}/mine", json=MINE).status_code == 200
        assert client.delete(f"{PATH}/t7").status_code == 204
        made(client, name="default")
        assert client.post(f"{PATH}/t7/versions/1/restore").status_code == 409
