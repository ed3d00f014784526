"""The digest of a body does not depend on the pieces in which it comes."""

from __future__ import annotations

import asyncio

from hypothesis import given
from hypothesis import strategies as st
from starlette.types import Message

from app.web.body_digest import DigestedBody


def digest(pieces: list[bytes], boundary: bytes = b"") -> str:
    waiting = [{"type": "http.request", "body": piece, "more_body": True} for piece in pieces]
    waiting.append({"type": "http.request", "body": b"", "more_body": False})

    async def receive() -> Message:
        return waiting.pop(0)

    return asyncio.run(DigestedBody(receive, boundary).read_to_end())


def cut(body: bytes, places: list[int]) -> list[bytes]:
    ends = sorted(min(place, len(body)) for place in places)
    return [body[begin:end] for begin, end in zip([0, *ends], [*ends, len(body)], strict=True)]


BODIES = st.text(alphabet="xy-", max_size=40).map(str.encode)
PLACES = st.lists(st.integers(0, 40), max_size=6)


@given(body=BODIES, places=PLACES, boundary=st.sampled_from([b"", b"-", b"xy", b"x-x", b"-x-y-x"]))
def test_any_pieces_have_the_digest_of_the_whole(
    body: bytes, places: list[int], boundary: bytes
) -> None:
    assert digest(cut(body, places), boundary) == digest([body], boundary)


def test_only_the_boundary_does_not_count() -> None:
    form = b"--%s\r\na\r\n--%s\r\nb\r\n--%s--\r\n"
    one, two = (form.replace(b"%s", boundary) for boundary in (b"first", b"second"))
    assert digest([one], b"first") == digest([two], b"second")
    assert digest([one], b"first") != digest([one.replace(b"a", b"c")], b"first")
    assert digest([one]) != digest([two])
