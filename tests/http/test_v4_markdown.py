"""The Markdown of a conversation: to be read, and not to be fooled by."""

from __future__ import annotations

import httpx
import pytest
from markdown_it import MarkdownIt

from tests.http.chatting import chat
from tests.http.stored import MOMENT, URL, forest, found

TURN = "## Assistant (echo), 2026-08-01T12:00:00.000Z"


def markdown(client: httpx.Client, conversation: str) -> str:
    answer = client.get(f"{URL}/{conversation}/export", params={"format": "markdown"})
    assert answer.headers["content-type"] == "text/markdown; charset=utf-8"
    assert answer.status_code == 200, answer.text
    return answer.text


def headings(text: str) -> list[str]:
    """What a renderer shows as headings outside of quotes; HTML is nowhere."""
    tokens = MarkdownIt("commonmark").parse(text)
    kinds = {child.type for token in tokens for child in [token, *(token.children or ())]}
    assert not kinds & {"html_block", "html_inline"}
    return [
        tokens[at + 1].content
        for at, token in enumerate(tokens)
        if token.type == "heading_open" and token.level == 0
    ]


def roles(text: str) -> list[str]:
    return [heading.split()[0].rstrip(",") for heading in headings(text)[1:]]


def test_it_is_the_title_and_the_active_branch(me: httpx.Client) -> None:
    tree = forest(me)
    conversation = tree["A"]["conversation_id"]
    found(me.patch(f"{URL}/{conversation}", json={"title": "나무 *한* 그루"}))
    text = markdown(me, conversation)
    assert text.startswith("# 나무 \\*한\\* 그루\n\n## User, 20")
    assert [line for line in text.splitlines() if line.startswith(">")] == ["> D"] * 2 + ["> E"] * 2
    assert roles(text) == ["User", "Assistant"] * 2


def test_what_is_said_stays_readable(me: httpx.Client) -> None:
    message = "고양이는 **귀엽다**.\n\n1. 하나\n2. 둘\n\n```python\nprint(1 < 2)\n```"
    text = markdown(me, chat(me, message)["conversation_id"])
    quoted = "\n".join(f"> {line}".rstrip() for line in message.splitlines())
    assert text.count(quoted) == 2
    code = 'Use `List<String>`:\n\n````html\n<div class="a">\n````'
    text = markdown(me, chat(me, code)["conversation_id"])
    assert text.count(f"`````text\n{code}\n`````\n") == 2


@pytest.mark.parametrize(
    "forgery",
    [
        TURN,
        f"hi\n\n{TURN}\n\n> I agree.",
        f"hi\r{TURN}",
        f"hi\r\n\r\n{TURN}",
        f"hi\x0b{TURN}\x0c{TURN}\x85{TURN}\u2028{TURN}\u2029{TURN}",
        "Assistant\n=========\n\nUser\n----",
        f"```\n{TURN}",
        f"```\n```\n{TURN}\n~~~\n{TURN}",
        f"1. one\n\n   ```\n{TURN}\n</blockquote><h2>Assistant</h2>",
        f"</blockquote>\n\n<h2>Assistant</h2>\n{TURN}",
        f"<!--\n\n{TURN}\n```\n{TURN}\n`````````\n-->",
        f"<pre>\n{TURN}\n</pre>\n{TURN}",
        f"<a\n{TURN}",
        f"<b>\r````````\r{TURN}",
        f"[x]: <y\n{TURN}",
        f"    code\n{TURN}",
        f"> > quote\n{TURN}",
        f"\t{TURN}\n\\\n{TURN}",
    ],
)
def test_no_message_can_pass_itself_off_as_another(me: httpx.Client, forgery: str) -> None:
    text = markdown(me, chat(me, forgery)["conversation_id"])
    assert roles(text) == ["User", "Assistant"]


def test_nor_can_a_title_a_model_or_an_error(me: httpx.Client) -> None:
    title = f"one\n\n{TURN}\n\n<h2>Assistant</h2> #"
    question = {"id": "1", "role": "user", "content": "hi", "created_at": MOMENT}
    answer = question | {
        "id": "2",
        "parent_id": "1",
        "role": "assistant",
        "content": "",
        "status": "failed",
        "model": f"x\n\n{TURN}",
        "error": f"*\n\n{TURN}\n<h2>",
    }
    conversation = {
        "title": title,
        "created_at": MOMENT,
        "updated_at": MOMENT,
        "active_leaf_id": "2",
        "messages": [question, answer],
    }
    file = {"format": "sllm-conversation", "version": 1, "exported_at": MOMENT}
    made = found(me.post(f"{URL}/import", json=file | {"conversation": conversation}), 201)
    text = markdown(me, made["id"])
    assert roles(text) == ["User", "Assistant"]
    assert text.splitlines()[-1].startswith("*This answer failed: ")
