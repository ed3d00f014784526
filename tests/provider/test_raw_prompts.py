"""Prompts without a chat template: texts, tokens and gaps, and the tokens of texts."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Sequence
from pathlib import Path

import pytest
from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers

from app.provider.engine import EngineLimits
from app.provider.errors import UnsupportedInput
from app.provider.formats.infill import INFILL, InfillTokens
from app.provider.generation.chat_template import ChatTemplate
from app.provider.generation.model_tokenizer import ModelTokenizer
from app.provider.generation.prompt_builder import PromptBuilder
from app.provider.generation.raw_prompt import RawPrompts
from app.provider.generation.tokenizer import HubTokenizer
from app.provider.pool.pool import ModelPool, PoolConfig
from app.provider.types import ImagePart, Message, Prompt, RawText, Sampling, TextPart
from tests.provider.asking import collect
from tests.provider.scripted import CHATML, CONTROL
from tests.provider.test_chat_prompts import gguf

KV = {"tokenizer.ggml.add_bos_token": True}


def builder(tmp_path: Path, *control: str) -> PromptBuilder:
    vocabulary = gguf(tmp_path, CHATML, control=(*CONTROL, *control), bos="<s>", kv=KV)
    return PromptBuilder(vocabulary, ChatTemplate(vocabulary))


def spelled(made: PromptBuilder, raw: RawText) -> str:
    tokens = made.prepare(Prompt((), raw=raw), 512).tokens
    return "".join(map(made.vocabulary.spelling, tokens))


def test_a_raw_text_begins_once_and_has_special_tokens(tmp_path: Path) -> None:
    made = builder(tmp_path)
    text = "once <|im_end|> upon"
    for raw in (text, f"<s>{text}"):
        prepared = made.prepare(Prompt((), raw=RawText(raw)), 512)
        assert "".join(map(made.vocabulary.spelling, prepared.tokens)) == f"<s>{text}"
        assert made.vocabulary.tokenize("<|im_end|>")[0] in prepared.tokens
        assert prepared.thinking is None
        assert prepared.output_format == ""


def test_tokens_stay_as_they_are(tmp_path: Path) -> None:
    made = builder(tmp_path)
    tokens = tuple(made.vocabulary.tokenize("ab<|im_end|>"))
    assert tuple(made.prepare(Prompt((), raw=RawText(tokens=tokens)), 512).tokens) == tokens


@pytest.mark.parametrize(
    ("raw", "reason"),
    [
        (RawText(tokens=(1, 10**6)), "no token 1000000"),
        (RawText(tokens=(-1,)), "no token -1"),
        (RawText(tokens=()), "empty"),
        (RawText("a", suffix="b"), "fill in a gap"),
        (RawText(tokens=(1,), suffix="b"), "not with tokens"),
    ],
)
def test_what_makes_no_sense_is_refused(tmp_path: Path, raw: RawText, reason: str) -> None:
    with pytest.raises(UnsupportedInput, match=reason):
        builder(tmp_path).prepare(Prompt((), raw=raw), 512)


@pytest.mark.parametrize("tokens", INFILL, ids=lambda tokens: tokens.prefix)
def test_a_gap_is_spelled_as_the_family_does(tmp_path: Path, tokens: InfillTokens) -> None:
    texts = [text for text in (tokens.prefix, tokens.suffix, tokens.middle) if text]
    begin, follow = f"{tokens.prefix}def f(", f"{tokens.suffix}  return"
    parts = (follow, begin) if tokens.suffix_first else (begin, follow)
    text = spelled(builder(tmp_path, *texts), RawText("def f(", suffix="  return"))
    assert text.replace("▁", " ") == f"<s>{parts[0]}{parts[1]}{tokens.middle}".replace("▁", " ")


def test_what_is_filled_in_ends(tmp_path: Path) -> None:
    made = builder(tmp_path, *INFILL[0][:3], "<|file_sep|>")
    (end,) = made.vocabulary.tokenize("<|file_sep|>")
    assert made.vocabulary.piece(end) is None


def sentence_pieces(folder: Path, words: Sequence[str]) -> ModelTokenizer:
    """A tokenizer that puts a space before a text, as Llama 2's does."""
    letters = {letter: number for number, letter in enumerate(["▁", *"abcdefgh"])}
    tokenizer = Tokenizer(models.BPE(letters, []))
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace(prepend_scheme="first")
    tokenizer.decoder = decoders.Metaspace()
    tokenizer.add_special_tokens([AddedToken(word, special=True) for word in words])
    folder.mkdir(exist_ok=True)
    tokenizer.save(str(folder / "tokenizer.json"))
    (folder / "tokenizer_config.json").write_text(json.dumps({}))
    return HubTokenizer(folder)


def test_no_space_comes_into_a_gap_that_was_not_there(tmp_path: Path) -> None:
    vocabulary = sentence_pieces(tmp_path / "m", ["▁<PRE>", "▁<SUF>", "▁<MID>"])
    tokens = RawPrompts(vocabulary).tokens(RawText("ab", suffix="cd"))
    assert [vocabulary.spelling(token) for token in tokens] == [
        *("▁<PRE>", "▁", "a", "b"),
        *("▁<SUF>", "c", "d", "▁<MID>"),
    ]


# -------------------------------------------------------------------- tokens of texts


def test_pieces_are_the_bytes_of_the_text(tmp_path: Path) -> None:
    made = builder(tmp_path)
    text = "안녕 <|im_end|> x"
    found = made.tokenize(Prompt((), raw=RawText(text)), special=True)
    assert b"".join(found.pieces).decode() == f"<s>{text}"
    assert found.tokens == tuple(made.prepare(Prompt((), raw=RawText(text)), 512).tokens)
    bare = made.tokenize(Prompt((), raw=RawText(text)), special=False)
    assert (bare.tokens, bare.pieces) == (found.tokens[1:], found.pieces[1:])
    chat = made.tokenize(Prompt((Message.of("user", "Hi?"),)), special=True)
    assert b"".join(chat.pieces) == (b"<s><|im_start|>user\nHi?<|im_end|>\n<|im_start|>assistant\n")


def test_a_space_that_the_tokenizer_adds_is_no_text(tmp_path: Path) -> None:
    vocabulary = sentence_pieces(tmp_path / "m", ["<|im_start|>", "<|im_end|>"])
    made = PromptBuilder(vocabulary, ChatTemplate(vocabulary))
    for text in ("ab cd", ""):
        found = made.tokenize(Prompt((), raw=RawText(text)), special=True)
        assert b"".join(found.pieces).decode() == text


@pytest.fixture
async def pool(tmp_path: Path) -> AsyncIterator[ModelPool]:
    pool = ModelPool(PoolConfig(tmp_path, echo=True, limits=EngineLimits(threads=1)))
    yield pool
    await pool.close()


async def test_texts_become_tokens_and_texts_again(pool: ModelPool) -> None:
    text = "one two  three one "
    found = await pool.tokenize("echo", text)
    assert len(found.tokens) == 4
    assert await pool.detokenize("echo", found.tokens) == text
    with pytest.raises(UnsupportedInput, match="no token 99"):
        await pool.detokenize("echo", [99])
    message = Message("user", (TextPart("one two  three one "), TextPart("four")))
    chat = await pool.tokenize("echo", Prompt((message,)))
    assert b"".join(chat.pieces).decode() == message.text
    picture = Message("user", (ImagePart(b"", "0" * 64, 1, 1),))
    answer = await collect(pool.stream("echo", Prompt((), raw=RawText(tokens=found.tokens))))
    assert answer.text == text
    assert not (await pool.tokenize("echo", Prompt((picture,)))).tokens


async def test_a_raw_prompt_is_continued(pool: ModelPool) -> None:
    raw = RawText("again and again", suffix="the end")
    answer = await collect(pool.stream("echo", Prompt((), Sampling(max_tokens=2), raw=raw)))
    assert (answer.text, answer.end.usage.prompt_tokens) == ("again and ", 3)
