"""Whoever edits can say what they have seen: If-Match, If-None-Match."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import httpx
import pytest

from tests.conftest import serving
from tests.http.editing import PATH, made, problem, put, restore, versions


def test_an_etag_saves_the_second_download(me: httpx.Client) -> None:
    made(me)
    for name, tag in (("mine", '"1"'), ("default", me.get(f"{PATH}/default").headers["etag"])):
        for known in (tag, f"W/{tag}", f'"x", {tag}', "*"):
            same = me.get(f"{PATH}/{name}", headers={"If-None-Match": known})
            assert (same.status_code, same.content) == (304, b"")
            assert same.headers["etag"] == tag
        for known in ('"99"', 'W/"x", "y"', "", ","):
            other = me.get(f"{PATH}/{name}", headers={"If-None-Match": known})
            assert (other.status_code, other.headers["etag"]) == (200, tag)
            assert other.headers["cache-control"] == "private, no-cache"
    assert problem(me.get(f"{PATH}/mine", headers={"If-None-Match": "1"}))[0] == 422


CHANGES: dict[str, Callable[..., httpx.Response]] = {
    "put": lambda me, **headers: put(me, "mine", "Two.", **headers),
    "restore": lambda me, **headers: restore(me, "mine", 1, **headers),
    "delete": lambda me, **headers: me.delete(
        f"{PATH}/mine", headers={"If-Match": headers["If_Match"]}
    ),
}
changing = pytest.mark.parametrize("change", CHANGES)


@changing
@pytest.mark.parametrize("known", ['"2"', '"1","2"', ', "x" , "2",', "*"])
def test_a_change_goes_through_while_the_etag_is_the_same(
    me: httpx.Client, change: str, known: str
) -> None:
    made(me)
    put(me, "mine", "Other.")
    answer = CHANGES[change](me, If_Match=known)
    assert answer.is_success, answer.text
    assert versions(me, "mine")[0]["version"] == 3


@changing
@pytest.mark.parametrize("known", ['"1"', 'W/"2"', '"1", W/"2", "3"', '"*"', '"0"', '""', ""])
def test_a_change_is_refused_once_the_etag_is_another(
    me: httpx.Client, change: str, known: str
) -> None:
    made(me)
    put(me, "mine", "Other.")
    answer = CHANGES[change](me, If_Match=known)
    assert problem(answer) == (412, "precondition-failed")
    assert 'its ETag is "2" now' in answer.json()["detail"]
    assert [each["version"] for each in versions(me, "mine")] == [2, 1]


@changing
@pytest.mark.parametrize("known", ["2", '"2', '"1" "2"', "*, *", 'w/"2"', '"1"x', '"2" ;'])
def test_an_if_match_that_is_none_is_told_apart(me: httpx.Client, change: str, known: str) -> None:
    made(me)
    put(me, "mine", "Other.")
    answer = CHANGES[change](me, If_Match=known)
    assert problem(answer) == (422, "invalid-request")
    assert answer.json()["errors"][0]["pointer"] == "/header/If-Match"
    assert len(versions(me, "mine")) == 2


def test_if_match_in_two_lines_is_one_list(me: httpx.Client) -> None:
    made(me)
    headers = [("If-Match", '"7"'), ("If-Match", '"1"')]
    assert me.delete(f"{PATH}/mine", headers=headers).status_code == 204


def test_a_long_if_match_is_read_quickly(me: httpx.Client) -> None:
    made(me)
    for known in (
        '"a",' * 10_000,
        '"a"' + " " * 40_000 + "x",
        '"a" ' * 10_000 + '"a"',
        "," * 40_000 + "x",
    ):
        assert put(me, "mine", "Two.", If_Match=known).status_code in {412, 422}


def test_where_nothing_is_no_etag_matches(me: httpx.Client) -> None:
    made(me)
    me.delete(f"{PATH}/mine")
    for known in ("*", '"2"', '"1"'):
        assert problem(restore(me, "mine", 1, If_Match=known)) == (412, "precondition-failed")
        assert problem(put(me, "mine", "Two.", If_Match=known)) == (404, "template-not-found")


def test_the_etag_of_a_built_in_guards_its_shadow(me: httpx.Client) -> None:
    tag = me.get(f"{PATH}/default").headers["etag"]
    assert put(me, "default", "Mine.", If_Match=tag).status_code == 200
    assert put(me, "default", "Late.", If_Match=tag).status_code == 412
    assert restore(me, "default", 0, If_Match=tag).status_code == 412
    assert restore(me, "default", 0, If_Match='"1"').headers["etag"] == tag


def test_a_built_in_that_an_upgrade_changed_has_another_etag(
    database_url: str, empty_models: Path, tmp_path: Path
) -> None:
    tags = []
    for system in ("Old.", "New.", "Old."):
        file = {"name": "x", "description": "X.", "system": system}
        (tmp_path / "x.json").write_text(json.dumps(file))
        with serving(
            database_url=database_url, models_dir=empty_models, prompts_dir=tmp_path
        ) as it:
            tags.append(it.get(f"{PATH}/x").headers["etag"])
    assert tags[0] == tags[2] != tags[1]
