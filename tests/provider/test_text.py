from __future__ import annotations

import pytest

from app.provider.generation.detokenizer import Detokenizer
from app.provider.generation.thinking import TextPiece


def of(pieces: list[TextPiece]) -> str:
    return "".join(piece.text for piece in pieces)


def say(pieces: list[bytes], stop: tuple[str, ...] = ()) -> tuple[list[str], Detokenizer]:
    text = Detokenizer(stop)
    return [of(text.push(piece)) for piece in pieces], text


@pytest.mark.parametrize("word", ["안녕하세요 👋🏽", "你好,世界", "naïve café 🇰🇷"])
@pytest.mark.parametrize("size", [1, 2, 3, 5])
def test_only_whole_characters_come_out(word: str, size: int) -> None:
    data = word.encode()
    sent, text = say([data[at : at + size] for at in range(0, len(data), size)])
    assert "".join(sent) + of(text.flush()) == word
    assert all("\ufffd" not in piece for piece in sent)


def test_half_a_character_at_the_end_is_dropped() -> None:
    sent, text = say(["끝".encode()[:2]])
    assert sent == [""]
    assert of(text.flush()) == ""


def test_bytes_of_no_character_are_dropped() -> None:
    sent, text = say([b"a\xff", b"\x80b"])
    assert "".join(sent) + of(text.flush()) == "ab"


def test_a_stop_string_may_span_pieces() -> None:
    sent, text = say([b"Hello<", b"en", b"d>ignored"], stop=("<end>",))
    assert sent == ["Hello", "", ""]
    assert text.stopped
    assert of(text.flush()) == ""


def test_text_that_only_looks_like_a_stop_string_is_sent() -> None:
    sent, text = say([b"a<e", b"n", b"x"], stop=("<end>",))
    assert sent == ["a", "", "<enx"]
    assert not text.stopped
    assert of(text.flush()) == ""


def test_the_earliest_of_several_stop_strings_counts() -> None:
    sent, text = say([b"one two three"], stop=("three", "two"))
    assert sent == ["one "]
    assert text.stop_string == "two"


def test_of_two_stop_strings_at_one_place_the_shorter_one_came_first() -> None:
    _, text = say([b"one two"], stop=("two", "tw"))
    assert text.stop_string == "tw"


def test_what_is_held_back_comes_out_at_the_end() -> None:
    sent, text = say([b"a<e"], stop=("<end>",))
    assert sent == ["a"]
    assert of(text.flush()) == "<e"
