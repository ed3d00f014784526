"""Questions have one answer each, and held-out wordings are never trained."""

import subprocess
import sys
from collections import Counter
from random import Random

from training.starter.corpus import normalise
from training.vision_starter.conversations import KINDS, conversation, held_out_cases
from training.vision_starter.drawing import Scene, scene
from training.vision_starter.questions import ANSWERS, ask, outside, phrases
from training.vision_starter.words import LANGUAGES


def bare(wording: str) -> str:
    """Reduce a wording to its letters, with its slots kept apart from words."""
    return normalise(wording.replace("{", "slot").replace("}", "slot"))


def test_no_held_out_wording_is_trained() -> None:
    for language, kinds in phrases().items():
        trained = {bare(text) for kind in kinds.values() for text in kind["ask"]}
        for kind, wordings in kinds.items():
            held = {bare(text) for text in wordings["held"]}
            assert not trained & held, (language, kind, trained & held)


def test_no_held_out_question_outside_of_its_knowledge_is_trained() -> None:
    for language in LANGUAGES:
        trained = {normalise(text) for text in outside(language, held_out=False)}
        held = {normalise(text) for text in outside(language, held_out=True)}
        assert not trained & held, (language, trained & held)


def test_every_kind_has_wordings_in_every_language() -> None:
    for language in LANGUAGES:
        assert set(phrases()[language]) == {*ANSWERS, "limits"}
        for kind, wordings in phrases()[language].items():
            assert len(wordings["ask"]) >= 7, (language, kind)
            assert len(wordings["held"]) >= 3, (language, kind)


def test_a_question_about_a_scene_has_one_answer() -> None:
    random = Random(3)
    for shown in (scene(random) for _ in range(60)):
        answers: dict[str, str] = {}
        for _ in range(120):
            asked = ask(shown, random, held_out=True)
            assert answers.setdefault(asked.question, asked.answer) == asked.answer, asked


def test_an_answer_is_in_the_language_of_its_question() -> None:
    random = Random(4)
    for _ in range(500):
        asked = ask(scene(random), random)
        assert asked.answer.isascii() == (asked.language == "en")


def test_yes_and_no_are_equally_likely() -> None:
    random = Random(5)
    shown = [scene(random) for _ in range(1500)]
    asked = [ask(s, random, kind="is", language="en") for s in shown if s.things]
    counts = Counter(a.answer.split()[-1] for a in asked)
    assert 0.42 < counts["Yes."] / sum(counts.values()) < 0.58


def test_an_empty_picture_is_said_to_be_empty() -> None:
    random = Random(6)
    empty = next(
        s for s in iter(lambda: scene(random), None) if isinstance(s, Scene) and not s.things
    )
    for language, words in LANGUAGES.items():
        asked = ask(empty, random, kind="describe", language=language)
        assert asked.answer == words.nothing
        verdict = ask(empty, random, kind="is", language=language).answer
        assert verdict.endswith({"en": "nothing. No.", "ko": "없어요. 아니요."}[language])


def test_held_out_cases_are_the_same_each_time_and_of_every_kind() -> None:
    cases = held_out_cases(4 * len(KINDS), seed=1)
    assert cases == held_out_cases(4 * len(KINDS), seed=1)
    assert cases != held_out_cases(4 * len(KINDS), seed=2)
    assert Counter((case.kind, case.language) for case in cases) == Counter(
        {(kind, language): 2 for kind in KINDS for language in LANGUAGES}
    )


def test_cases_ask_about_the_pictures_they_show() -> None:
    for case in held_out_cases(8 * len(KINDS), seed=1):
        shown = sum(len(turn.scenes) for turn in case.turns)
        assert shown == {"no picture": 0, "last of two": 2}.get(case.kind, shown)
        assert case.kind in ("no picture", "limits") or case.turns[0].scenes
        if case.kind == "later turn":
            assert len(case.turns) > 1
            assert not case.turns[-1].scenes


def test_conversations_depend_on_nothing_but_their_numbers() -> None:
    assert conversation(Random(8)) == conversation(Random(8))


def test_drawing_and_asking_need_no_training_packages() -> None:
    code = "import sys, training.vision_starter.conversations as c; c.held_out_cases(4, 1)"
    heavy = "{'numpy', 'torch', 'tokenizers', 'transformers'} & set(sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", f"{code}; print({heavy})"],
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.strip() == "set()"
