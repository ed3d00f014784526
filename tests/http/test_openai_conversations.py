"""Conversations of OpenAI's dialect and their items."""

from __future__ import annotations

import base64
from typing import Any

import httpx

from app.openai.models.conversations import ConversationObject, ItemList
from tests.http.chatting import LONG, chat
from tests.http.openai_wire import Object, checked, error_of
from tests.http.responses_wire import CALL, CONVERSATIONS, TOOL, respond, row_ids
from tests.http.stored import listed, opened
from tests.http.vision import picture
from tests.store import audit

PICTURE = base64.b64encode(picture()).decode()
HELLO = {"type": "message", "role": "user", "content": "Hello!"}


def made(client: httpx.Client, **body: Any) -> Object:
    answer = client.post(CONVERSATIONS, json=body)
    assert answer.status_code == 200, answer.text
    return checked(ConversationObject, answer.json())


def items(client: httpx.Client, name: str, **query: Any) -> Object:
    answer = client.get(f"{CONVERSATIONS}/{name}/items", params=query)
    assert answer.status_code == 200, answer.text
    return checked(ItemList, answer.json())


def item_texts(page: Object) -> list[str]:
    return [item["content"][0]["text"] for item in page["data"]]


def test_one_is_made_read_changed_and_deleted(me: httpx.Client) -> None:
    new = made(me, metadata={"topic": "demo"})
    path = f"{CONVERSATIONS}/{new['id']}"
    assert new["metadata"] == {"topic": "demo"}
    assert me.get(path).json() == new
    changed = me.post(path, json={"metadata": {"topic": "other"}}).json()
    assert changed == new | {"metadata": {"topic": "other"}} == me.get(path).json()
    gone = {"id": new["id"], "object": "conversation.deleted", "deleted": True}
    assert me.delete(path).json() == gone
    assert error_of(me.get(path))[0] == 404
    assert listed(me) == []


def test_metadata_is_not_exported(me: httpx.Client) -> None:
    new = made(me, metadata={"topic": "demo"}, items=[HELLO])
    path = f"/api/v5/conversations/{row_ids(new['id'])[0]}/export"
    answer = me.get(path, params={"format": "json"})
    assert answer.status_code == 200, answer.text
    assert "metadata" not in answer.json()["conversation"]["setup"]


def test_no_body_makes_an_empty_one(me: httpx.Client) -> None:
    answer = me.post(CONVERSATIONS)
    new = checked(ConversationObject, answer.json())
    assert items(me, new["id"])["data"] == []
    assert listed(me) == row_ids(new["id"])


def test_responses_go_on_with_its_items(me: httpx.Client) -> None:
    new = made(me, items=[HELLO, {"role": "assistant", "content": "Hi."}])
    respond(me, "a b", conversation=new["id"])
    assert item_texts(items(me, new["id"], order="asc")) == ["Hello!", "Hi.", "a b", "a b"]
    assert item_texts(items(me, new["id"], limit=1)) == ["a b"]
    page = opened(me, row_ids(new["id"])[0])
    assert [message["content"] for message in page["messages"]] == ["Hello!", "Hi.", "a b", "a b"]
    assert page["title"] == "Hello!"


def test_items_are_added_and_read_one_by_one(me: httpx.Client) -> None:
    new = made(me)
    path = f"{CONVERSATIONS}/{new['id']}/items"
    more = [
        HELLO,
        {"type": "function_call", "call_id": "c", "name": "f", "arguments": "{}"},
        {"type": "function_call_output", "call_id": "c", "output": "x"},
    ]
    added = checked(ItemList, me.post(path, json={"items": more}).json())
    kinds = ["message", "function_call", "function_call_output"]
    assert [item["type"] for item in added["data"]] == kinds
    assert items(me, new["id"], order="asc")["data"] == added["data"]
    for item in added["data"]:
        assert me.get(f"{path}/{item['id']}").json() == item
    assert error_of(me.get(f"{path}/msg_{'0' * 64}"))[0] == 404
    assert error_of(me.get(f"{path}/x"))[0] == 404


def test_pages_follow_each_other(me: httpx.Client) -> None:
    words = [{"role": "user", "content": str(at)} for at in range(5)]
    new = made(me, items=words)
    first = items(me, new["id"], limit=3)
    assert (item_texts(first), first["has_more"]) == (["4", "3", "2"], True)
    second = items(me, new["id"], limit=3, after=first["last_id"])
    assert (item_texts(second), second["has_more"]) == (["1", "0"], False)
    answer = me.get(f"{CONVERSATIONS}/{new['id']}/items", params={"after": "msg_1"})
    assert error_of(answer)[0] == 400


def test_one_of_another_dialect_has_items(me: httpx.Client) -> None:
    asked = chat(me, "a")
    name = f"conv_{asked['conversation_id'].replace('-', '')}"
    assert item_texts(items(me, name, order="asc")) == ["a", "a"]


def test_a_response_with_tools_has_all_of_its_items(me: httpx.Client) -> None:
    new = made(me)
    first = respond(me, CALL, conversation=new["id"], tools=[TOOL])
    call = first["output"][0]["call_id"]
    result = {"type": "function_call_output", "call_id": call, "output": "sunny"}
    respond(me, [result], conversation=new["id"])
    kinds = [item["type"] for item in items(me, new["id"], order="asc")["data"]]
    assert kinds == ["message", "function_call", "function_call_output", "message"]


def test_the_last_item_can_be_deleted(me: httpx.Client, url: str) -> None:
    image = {"type": "input_image", "image_url": f"data:image/png;base64,{PICTURE}"}
    new = made(me, items=[HELLO, {"role": "user", "content": [image]}])
    first, last = items(me, new["id"], order="asc")["data"]
    path = f"{CONVERSATIONS}/{new['id']}/items"
    assert error_of(me.delete(f"{path}/{first['id']}"))[0] == 400
    assert me.delete(f"{path}/{last['id']}").json() == new
    assert error_of(me.get(f"{path}/{last['id']}"))[0] == 404
    assert item_texts(items(me, new["id"])) == ["Hello!"]
    assert me.delete(f"{path}/{first['id']}").json() == new
    assert items(me, new["id"])["data"] == []
    assert list(audit.table(url, "message_images")) == list(audit.table(url, "images")) == []


def test_others_see_nothing_of_it(me: httpx.Client, owner: Any) -> None:
    new, other = made(me, items=[HELLO]), owner()
    path = f"{CONVERSATIONS}/{new['id']}"
    item = items(me, new["id"])["first_id"]
    for answer in (
        other.get(path),
        other.post(path, json={"metadata": {}}),
        other.delete(path),
        other.get(f"{path}/items"),
        other.post(f"{path}/items", json={"items": [HELLO]}),
        other.get(f"{path}/items/{item}"),
        other.delete(f"{path}/items/{item}"),
        other.post("/v1/responses", json={"input": "hi", "conversation": new["id"]}),
    ):
        assert error_of(answer)[0] == 404, answer.request.url
    assert me.get(path).json() == new


def test_items_wait_for_the_end_of_an_answer(me: httpx.Client) -> None:
    new = made(me)
    asked = respond(me, LONG, conversation=new["id"], background=True)
    answer = me.post(f"{CONVERSATIONS}/{new['id']}/items", json={"items": [HELLO]})
    assert error_of(answer)[0] == 409
    me.post(f"/v1/responses/{asked['id']}/cancel")
    assert me.post(answer.request.url, json={"items": [HELLO]}).status_code == 200


def test_too_many_items_at_once(me: httpx.Client) -> None:
    answer = me.post(CONVERSATIONS, json={"items": [HELLO] * 21})
    assert error_of(answer)[0] == 400
