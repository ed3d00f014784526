"""How texts and pairs become tokens for an encoder."""

from __future__ import annotations

import itertools
from dataclasses import replace
from pathlib import Path

import pytest
from tokenizers import Tokenizer

from app.provider.encoding.folder import read_encoder_settings
from app.provider.encoding.runner import EncoderItem
from app.provider.encoding.text_input import TextInput
from app.provider.encoding.truncation import longest_first
from app.provider.errors import InputTooLong, UnsupportedInput
from app.provider.types import PairPart, TextPart, TokensPart
from tests.provider.encoder_folders import BERT, modules, write_encoder

CLS, SEP = 2, 3


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    files = {
        "modules.json": modules(["Transformer", "Pooling"]),
        "1_Pooling/config.json": {"pooling_mode_mean_tokens": True, "include_prompt": False},
        "sentence_bert_config.json": {"max_seq_length": 16},
    }
    return write_encoder(tmp_path_factory.mktemp("models") / "plain", files=files)


@pytest.fixture(scope="module")
def texts(folder: Path) -> TextInput:
    return TextInput(read_encoder_settings(folder))


@pytest.fixture(scope="module")
def pairs(tmp_path_factory: pytest.TempPathFactory) -> TextInput:
    config = {**BERT, "architectures": ["BertForSequenceClassification"], "id2label": {"0": "x"}}
    path = write_encoder(tmp_path_factory.mktemp("models") / "pairs", config)
    settings = read_encoder_settings(path)
    assert settings.text is not None
    return TextInput(replace(settings, text=replace(settings.text, max_tokens=11)))


def plain(
    texts: TextInput, part: TextPart | TokensPart | PairPart, *, truncate: bool = False
) -> EncoderItem:
    return texts.prepare(part, index=0, prompt="", truncate=truncate)


def words(count: int, first: int = 0) -> str:
    return " ".join(f"w{number % 96}" for number in range(first, first + count))


def test_a_text_gets_the_special_tokens_and_no_padding_of_the_file(texts: TextInput) -> None:
    item = plain(texts, TextPart("W0 w1"))
    assert (item.tokens, item.token_types, item.truncated) == ((CLS, 4, 5, SEP), (), False)
    assert item.cost == 4
    assert len(plain(texts, TextPart(words(14))).tokens) == 16


def test_what_is_too_long_is_refused_with_its_length_or_cut_before_the_last_token(
    texts: TextInput,
) -> None:
    with pytest.raises(InputTooLong) as caught:
        texts.prepare(TextPart(words(15)), index=7, prompt="", truncate=False)
    assert (caught.value.index, caught.value.needed, caught.value.limit) == (7, 17, 16)
    item = texts.prepare(TextPart(words(15)), index=7, prompt="", truncate=True)
    assert (len(item.tokens), item.tokens[0], item.tokens[-1], item.truncated) == (
        16,
        CLS,
        SEP,
        True,
    )


def test_the_prompt_is_put_before_the_text_and_counted_for_the_pooling(texts: TextInput) -> None:
    item = texts.prepare(TextPart("w2"), index=0, prompt="w0 w1 ", truncate=False)
    assert item.tokens == (CLS, 4, 5, 6, SEP)
    assert item.prompt_tokens == 3  # with the token that begins every text


def test_tokens_of_the_model_are_taken_as_they_are(texts: TextInput) -> None:
    assert plain(texts, TokensPart((9, 8))).tokens == (9, 8)
    with pytest.raises(UnsupportedInput, match="index 0 has a token that the model does not have"):
        plain(texts, TokensPart((100,)))
    with pytest.raises(InputTooLong):
        plain(texts, TokensPart((9,) * 17))


def test_a_pair_is_joined_and_its_texts_are_told_apart(pairs: TextInput) -> None:
    item = plain(pairs, PairPart("w0", "w1 w2"))
    assert item.tokens == (CLS, 4, SEP, 5, 6, SEP)
    assert item.token_types == (0, 0, 0, 1, 1, 1)


@pytest.mark.parametrize("part", [TextPart("w0"), TokensPart((9,))])
def test_a_reranker_takes_pairs_only_and_an_embedder_none(
    pairs: TextInput, texts: TextInput, part: TextPart | TokensPart
) -> None:
    with pytest.raises(UnsupportedInput, match="takes pairs of a query and a document"):
        plain(pairs, part)
    with pytest.raises(UnsupportedInput, match="takes texts"):
        plain(texts, PairPart("w0", "w1"))


def test_long_pairs_are_cut_as_the_library_cuts_them(folder: Path, pairs: TextInput) -> None:
    library = Tokenizer.from_file(str(folder / "tokenizer.json"))
    library.no_padding()
    library.enable_truncation(11, strategy="longest_first")
    for first, second in itertools.product((1, 3, 4, 5, 9, 20), repeat=2):
        pair = PairPart(words(first), words(second, 40))
        expected = library.encode(pair.query, pair.document)
        item = plain(pairs, pair, truncate=True)
        assert list(item.tokens) == expected.ids, (first, second)
        assert list(item.token_types) == expected.type_ids
        assert item.truncated == (first + second + 3 > 11)


def test_a_pair_that_fits_is_never_cut() -> None:
    assert longest_first(3, 5, 8) == (3, 5)
    assert longest_first(5, 3, 7) == (4, 3)
