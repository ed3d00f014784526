"""Measures the exported encoder, and the baseline, on questions that training never saw.

`python -m training.embed_starter.evaluate` writes `models/starter-embed/EVALUATION.md`.
"""

import argparse
import tomllib
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

import numpy as np

from training.embed_starter.baseline import Baseline
from training.embed_starter.engines import Gguf, Onnx, unit
from training.embed_starter.shape import SIZES
from training.embed_starter.texts import fresh, held_out, topics
from training.starter.corpus import LANGUAGES, Entry, HeldOut

FOLDER, GGUF = "starter-embed", "starter-embed-f16.gguf"
BETTER, ACROSS = 0.05, 0.6  # than the baseline, in each language; least recall across languages
OTHER = {"en": "ko", "ko": "en"}
NAMES = {"en": "English", "ko": "Korean"}
HEAD = """# How well starter-embed finds what belongs together

`python -m training.embed_starter.evaluate` measures recall@1: how often the nearest of {documents}
texts is the one that belongs to a question. No training text contains a held-out question, however
it is spelt, so none of them was seen; but the answers that it searches were.

The baseline is no network: hashed character n-grams (2 to 4 letters), weighted by how rare they are
in the questions and answers of the corpus (tf-idf). Where an n-gram is as good, take the n-gram.

"""
NOTES = """
"held-out": worded with the corpus, before training, by its author: this figure flatters. "fresh":
worded after the corpus was closed. "other subjects": questions and answers about anything else, the
measure of what it is worth outside of this project: little.

Left out are questions about nothing in particular ("Who won the Nobel prize?"), which the chat
starter has to decline: no text belongs to them.

Vectors of the GGUF in llama.cpp and of the ONNX graph: cosine at least {least:.6f}.
"""

Encode = Callable[[list[str]], np.ndarray]


def recall(encode: Encode, asked: Sequence[HeldOut], documents: Sequence[tuple[str, str]]) -> float:
    """Return how many questions have a text of their own intent as the nearest document.

    ``documents`` are intents and texts.
    """
    intents, texts = zip(*documents, strict=True)
    nearest = (encode([item.question for item in asked]) @ encode(list(texts)).T).argmax(1)
    return float(np.mean([intents[n] == a.intent for n, a in zip(nearest, asked, strict=True)]))


def measure(encode: Encode) -> dict[str, float]:
    """Return recall@1 of every kind of search."""
    figures: dict[str, float] = {}
    for language in LANGUAGES:
        asked, name = _of(held_out(), language), NAMES[language]
        new, foreign = _of(fresh(), language), OTHER[language]
        of_ours = f"{name} held-out question"
        figures |= {
            f"{of_ours}, its answer": recall(encode, asked, answers(language)),
            f"{of_ours}, a trained question": recall(encode, asked, trained(language)),
            f"{of_ours}, another held-out one": recall(encode, *_paraphrases(language)),
            f"{of_ours}, {NAMES[foreign]} answer": recall(encode, asked, answers(foreign)),
            f"{of_ours}, {NAMES[foreign]} held-out question": recall(
                encode, asked, _firsts(_of(held_out(), foreign))
            ),
            f"{name} fresh question, its answer": recall(encode, new, answers(language)),
            f"{name}, other subjects": recall(encode, *elsewhere(language)),
        }
    return figures


def answers(language: str) -> list[tuple[str, str]]:
    return [(entry.intent, entry.answer) for entry in _entries(language)]


def trained(language: str) -> list[tuple[str, str]]:
    return [(entry.intent, text) for entry in _entries(language) for text in entry.asked]


def elsewhere(language: str) -> tuple[list[HeldOut], list[tuple[str, str]]]:
    """Return questions about other subjects than this server, and their answers."""
    text = Path(__file__).with_name("elsewhere.toml").read_text(encoding="utf-8")
    pairs = tomllib.loads(text)[language]
    asked = [HeldOut(question, language, answer, answer) for question, answer in pairs]
    return asked, [(answer, answer) for _, answer in pairs]


def _entries(language: str) -> list[Entry]:
    return [{"en": topic.english, "ko": topic.korean}[language] for topic in topics()]


def _of(items: Iterable[HeldOut], language: str) -> list[HeldOut]:
    return [item for item in items if item.language == language]


def _firsts(items: Iterable[HeldOut]) -> list[tuple[str, str]]:
    found: dict[str, str] = {}
    for item in items:
        found.setdefault(item.intent, item.question)
    return list(found.items())


def _paraphrases(language: str) -> tuple[list[HeldOut], list[tuple[str, str]]]:
    """Return one held-out question of each intent to find, and the others to find it with."""
    items = _of(held_out(), language)
    firsts = _firsts(items)
    return [item for item in items if (item.intent, item.question) not in firsts], firsts


def baseline() -> Encode:
    entries = [entry for language in LANGUAGES for entry in _entries(language)]
    return Baseline(text for entry in entries for text in (entry.answer, *entry.asked))


def verdict(ours: dict[str, float], theirs: dict[str, float]) -> list[str]:
    """Return what is not good enough to be shipped."""
    wanted: dict[str, float] = {}
    for language in LANGUAGES:
        of_ours = f"{NAMES[language]} held-out question"
        same, foreign = f"{of_ours}, its answer", NAMES[OTHER[language]]
        wanted[same] = theirs[same] + BETTER
        wanted[f"{of_ours}, {foreign} answer"] = ACROSS
        wanted[f"{of_ours}, {foreign} held-out question"] = ACROSS
    return [f"{name}: {ours[name]:.3f}" for name, least in wanted.items() if ours[name] < least]


def report(models: Path) -> None:
    """Measure the files and write EVALUATION.md. Raises ValueError where they are not enough."""
    onnx, gguf = Onnx(models / FOLDER), Gguf(models / GGUF)
    columns = {
        "starter-embed": measure(onnx),
        **{f"its first {size}": measure(_first(onnx, size)) for size in SIZES[:-1]},
        "n-grams": measure(baseline()),
    }
    text = HEAD.format(documents=len(topics())) + table(columns)
    texts = [item.question for item in held_out()] + [text for _, text in answers("ko")]
    least = float((onnx(texts) * gguf(texts)).sum(1).min())
    text += NOTES.format(least=least)
    (models / FOLDER / "EVALUATION.md").write_text(text, encoding="utf-8")
    print(text, flush=True)
    if missed := verdict(columns["starter-embed"], columns["n-grams"]):
        raise ValueError(f"not good enough: {missed}")


def _first(encode: Encode, size: int) -> Encode:
    return lambda texts: unit(encode(texts)[:, :size])


def table(columns: dict[str, dict[str, float]]) -> str:
    rows = [f"| search for | {' | '.join(columns)} |", "|---" * (len(columns) + 1) + "|"]
    for name in next(iter(columns.values())):
        cells = " | ".join(f"{figures[name]:.2f}" for figures in columns.values())
        rows.append(f"| {name} | {cells} |")
    return "\n".join(rows) + "\n"


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m training.embed_starter.evaluate")
    parser.add_argument("--models", type=Path, default=Path("models"), help="where they are")
    report(parser.parse_args().models)


if __name__ == "__main__":
    main()
