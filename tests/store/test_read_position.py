"""A reader that looks at random moments, and connects again, has all of the answer in the end."""

from __future__ import annotations

from collections.abc import Iterable

from hypothesis import given
from hypothesis import strategies as st

from app.chat.answer_content import AnswerContent
from app.conversations.read_position import Catchup, ReadPosition, Reset, Update
from app.provider.types import AnyDelta, Delta, ThinkingDelta

PIECE = st.text("ab가😀", min_size=1, max_size=3)
DELTAS = st.lists(st.one_of(st.builds(Delta, PIECE), st.builds(ThinkingDelta, PIECE)), max_size=12)


class Client:
    """What a client has put together, and the position that it would name."""

    def __init__(self) -> None:
        self.text = self.thinking = ""
        self.resets = 0

    def take(self, updates: Iterable[Update]) -> None:
        for update in updates:
            match update:
                case Delta(text=text):
                    self.text += text
                case ThinkingDelta(text=text):
                    self.thinking += text
                case Reset(text=text, thinking=thinking):
                    self.text, self.thinking = text, thinking
                    self.resets += 1

    def connect(self) -> Catchup:
        return Catchup(ReadPosition(len(self.text), len(self.thinking)))


def added(content: AnswerContent, deltas: Iterable[AnyDelta]) -> AnswerContent:
    for delta in deltas:
        content.add(delta)
    return content


@given(deltas=DELTAS, data=st.data())
def test_pieces_add_up_whenever_they_are_read(deltas: list[AnyDelta], data: st.DataObject) -> None:
    content, client = AnswerContent(), Client()
    catchup = client.connect()
    for delta in deltas:
        content.add(delta)
        if data.draw(st.booleans(), "looks"):
            client.take(catchup.live(content))
        if data.draw(st.booleans(), "connects again"):
            catchup = client.connect()
    client.take(catchup.live(content))
    client.take(catchup.final(content.text, content.thinking))
    assert (client.text, client.thinking) == (content.text, content.thinking)


@given(before=DELTAS, after=DELTAS, again=st.booleans(), data=st.data())
def test_text_that_was_thinking_is_put_right(
    before: list[AnyDelta], after: list[AnyDelta], again: bool, data: st.DataObject
) -> None:
    content, client = added(AnswerContent(), before), Client()
    catchup = client.connect()
    client.take(catchup.live(content))
    if again:
        catchup = client.connect()
    content.retracted = data.draw(st.integers(0, content.length), "retracted")
    for delta in after:
        kept = Delta(delta.text, content.retracted) if isinstance(delta, Delta) else delta
        content.add(kept)
    client.take(catchup.live(content))
    if again and any(isinstance(delta, ThinkingDelta) for delta in before):
        return  # no model thinks in both ways
    assert (client.text, client.thinking) == (content.text, content.thinking)


@given(seen=DELTAS, kept=st.integers(0, 40))
def test_who_had_more_than_is_kept_is_reset_once(seen: list[AnyDelta], kept: int) -> None:
    content, client = added(AnswerContent(), seen), Client()
    client.take(client.connect().live(content))
    stored = content.text[:kept]
    client.take(client.connect().final(stored, ""))
    assert (client.text, client.thinking) == (stored, "")
    assert client.resets == int(len(stored) < content.length or content.thinking_length > 0)


def test_nothing_is_copied_that_was_read_before() -> None:
    content = added(AnswerContent(), [Delta("a" * 1000), Delta("b")])
    assert content.text_since(1000) == "b"
    assert content.text_since(2000) == ""
    assert content.text == "a" * 1000 + "b"
    assert content.text_since(999) == "ab"
