"""Templates that are wrong or hostile, and addresses that cannot be."""

from __future__ import annotations

import json
from typing import Any

import httpx
import pytest

from tests.http.editing import MINE, PATH, made, problem
from tests.http.test_templates import HOSTILE


@pytest.mark.parametrize(
    ("changed", "pointer"),
    [
        ({"colour": 1}, "/colour"),
        ({"name": "Mine"}, "/name"),
        ({"name": "../x"}, "/name"),
        ({"system": "{{ undeclared }}"}, "/system"),
        ({"system": "{% if how %}"}, "/system"),
        ({"system": "nul \0"}, "/system"),
        ({"user": "no message"}, "/user"),
        ({"description": "half \ud800"}, "/description"),
        ({"variables": {"how": {"type": "text"}}}, "/variables/how/type"),
        ({"example": {"message": "hi", "variables": {"no": 1}}}, "/example/variables/no"),
        ({"sampling": {"temperature": 9}}, "/sampling/temperature"),
    ],
)
def test_a_wrong_template_is_refused_with_a_pointer(
    me: httpx.Client, changed: dict[str, Any], pointer: str
) -> None:
    body = json.dumps(MINE | changed)
    headers = {"Content-Type": "application/json"}
    made(me)
    for method, path in (("POST", PATH), ("PUT", f"{PATH}/mine")):
        answer = me.request(method, path, content=body, headers=headers)
        assert problem(answer) == (422, "invalid-request")
        assert answer.json()["errors"][0]["pointer"] == pointer
    assert me.get(f"{PATH}/mine").json()["version"] == 1


TRICKS = {
    "nested": "{{ " + "(" * 9000 + "1" + ")" * 9000 + " }}",
    "loops": "{% for a in 'x' %}" * 900 + "{% endfor %}" * 900,
    "power": "{{ 9 ** 9 ** 9 }}",
    "include": "{% include 'a' %}",
    "ifs": "{% if 1 %}" * 3000,
}


@pytest.mark.parametrize("trick", TRICKS)
def test_a_trick_is_refused_when_it_is_sent(me: httpx.Client, trick: str) -> None:
    answer = me.post(PATH, json=MINE | {"system": TRICKS[trick]}, timeout=60)
    assert problem(answer) == (422, "invalid-request")
    assert answer.json()["errors"][0]["pointer"] == "/system"


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_template_can_be_stored_but_costs_only_its_owner_an_error(
    me: httpx.Client, name: str
) -> None:
    variables = {"text": {"type": "string", "default": "x"}}
    body = {"name": name, "description": "H.", "system": HOSTILE[name], "variables": variables}
    answer = me.post(PATH, json=body, timeout=60)
    if answer.status_code == 422:
        assert answer.json()["errors"][0]["pointer"] == "/system"
        return
    assert answer.status_code == 201, answer.text
    for path in ("/api/v4/chat", "/api/v4/chat/stream"):
        asked = me.post(path, json={"message": "hi", "template": name}, timeout=60)
        assert problem(asked) == (422, "template-failed")


def test_impossible_names_in_the_address(me: httpx.Client) -> None:
    for name in ("%00", "a%00b"):
        for path in (f"{PATH}/{name}", f"{PATH}/{name}/versions"):
            assert problem(me.get(path)) == (422, "invalid-request")
    for name in ("Default", "%F0%9F%98%80", "%ED%A0%80", "x%27%20OR%201=1", "a" * 200):
        assert problem(me.get(f"{PATH}/{name}")) == (404, "template-not-found")


def test_a_refused_method_is_told_all_that_work(me: httpx.Client) -> None:
    for path, methods in ((PATH, "GET, POST"), (f"{PATH}/default", "DELETE, GET, PUT")):
        answer = me.patch(path)
        assert problem(answer) == (405, "method-not-allowed")
        assert answer.headers["allow"] == methods


def test_only_json_makes_or_replaces_a_template(me: httpx.Client) -> None:
    for method, path in (("POST", PATH), ("PUT", f"{PATH}/default")):
        headers = {"Content-Type": "text/plain"}
        answer = me.request(method, path, content=json.dumps(MINE), headers=headers)
        assert problem(answer) == (415, "media-type-not-supported")
