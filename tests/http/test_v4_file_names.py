"""An export is a download, named by its title on every system."""

from __future__ import annotations

import re

import httpx
import pytest

from tests.http.chatting import chat
from tests.http.stored import URL, found, refused


def named(client: httpx.Client, title: str, form: str) -> tuple[str, str]:
    """Both file names that an export of a conversation with this title has."""
    conversation = chat(client)["conversation_id"]
    found(client.patch(f"{URL}/{conversation}", json={"title": title}))
    answer = client.get(f"{URL}/{conversation}/export", params={"format": form})
    pattern = r"attachment; filename=\"([ -~]+)\"; filename\*=UTF-8''([\w.~%-]+)"
    match = re.fullmatch(pattern, answer.headers["content-disposition"], re.ASCII)
    assert match, answer.headers["content-disposition"]
    return match[1], httpx.URL(f"http://x/{match[2]}").path.removeprefix("/")


@pytest.mark.parametrize(
    ("title", "ascii_name", "name"),
    [
        ("Streaming, explained", "Streaming, explained", "Streaming, explained"),
        ("고양이 이야기", "conversation", "고양이 이야기"),
        ("cat 고양이", "cat", "cat 고양이"),
        ("../../etc/passwd", "etc passwd", "etc passwd"),
        ('a"b\\c:d*e?f|g<h>i%j', "a b c d e f g h i j", "a b c d e f g h i j"),
        ("one\r\nSet-Cookie: x", "one Set-Cookie x", "one Set-Cookie x"),
        ("\u202egpj.exe", "gpj.exe", "gpj.exe"),
        ("...", "conversation", "conversation"),
        ("가" * 200, "conversation", "가" * 50),
    ],
)
def test_the_file_is_named_by_its_title(
    me: httpx.Client, title: str, ascii_name: str, name: str
) -> None:
    assert named(me, title, "json") == (f"{ascii_name}.json", f"{name}.json")
    assert named(me, title, "markdown") == (f"{ascii_name}.md", f"{name}.md")


def test_an_unknown_format_is_refused(me: httpx.Client) -> None:
    made = chat(me)["conversation_id"]
    answer = me.get(f"{URL}/{made}/export", params={"format": "html"})
    refused(answer, 422, "invalid-request", "/format")
