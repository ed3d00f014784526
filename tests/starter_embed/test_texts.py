"""Nothing that the text encoder is measured with occurs in what it is trained on."""

from collections.abc import Iterator
from random import Random

from training.embed_starter import texts
from training.embed_starter.evaluate import elsewhere
from training.starter.corpus import LANGUAGES, held_out_keys, normalise


def trained() -> Iterator[str]:
    """Yield every text that never changes, and many of those that do."""
    random = Random(1)
    yield from texts.paragraphs()
    for topic in texts.topics():
        for entry in (topic.english, topic.korean):
            yield entry.answer
            yield from (texts.question(entry, random) for _ in range(6))
    for paragraph in texts.paragraphs():
        yield from texts.excerpts(paragraph, random)
    for _ in range(200):
        yield from texts.word_salad(random)


def test_no_training_text_contains_a_held_out_question() -> None:
    keys = held_out_keys()
    long = [key for key in keys if len(key) >= texts.SHORTEST_KEY]
    for text in trained():
        bare = normalise(text)
        assert bare not in keys, text
        assert not [key for key in long if key in bare], text


def test_a_held_out_question_inside_of_another_text_is_found() -> None:
    question = texts.held_out()[0].question
    assert texts.leaks(f"so, {question.upper()} please")
    assert not texts.leaks("so, please")


def test_nothing_measured_elsewhere_is_trained() -> None:
    paragraphs = normalise(" ".join(texts.paragraphs()))
    for language in LANGUAGES:
        asked, documents = elsewhere(language)
        assert len(asked) == len(documents) == len({text for _, text in documents}) >= 10
        for item in asked:
            assert normalise(item.question) not in paragraphs


def test_the_texts_of_a_pair_have_words_in_common() -> None:
    random = Random(2)
    for _ in range(100):
        one, other = (set(text.casefold()) for text in texts.word_salad(random))
        assert one & other
