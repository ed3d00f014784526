"""Writes the README.md of an exported folder: what it is, what it can do, under which licence."""

from pathlib import Path

CARD = """---
license: mit
language: [en, ko]
pipeline_tag: image-text-to-text
---
# Starter Vision

A Qwen2.5-VL-architecture model with 1.4 million parameters that looks at simple drawings. It was
trained from scratch by `training/vision_starter` on pictures drawn and questions written for this
project: no other model's weights, text or output went into it.

**What it knows.** One to three filled shapes on a plain, shaded or grainy ground: colour (red,
orange, yellow, green, blue, purple, black, white), shape (circle, square, triangle, star), number
and place, in English and Korean. Several objects are alike, or two unlike ones, one beside or above
the other. It answers yes-or-no questions, saying first what it sees, and later questions about a
picture sent before. Asked about one of two unlike objects it tells about both; of two pictures it
answers about the last. Its weakest answers are the verdicts of Korean yes-or-no questions: about
one in six is wrong, though what they say is to be seen is nearly always right.

**What it does not know.** Everything else: photographs, faces, text, other shapes and colours,
outlines, objects that touch, more than three objects, which of several pictures is meant. It says
so when a question asks for more, but it cannot notice that a *picture* is none of its kind.

**Pictures.** At most 49 tokens each (`max_pixels`). Resize as `preprocessor_config.json` says:
llama.cpp alone ignores `max_pixels`, so give llama-server `--image-max-tokens 49`. Context: 2048
tokens.

{figures}
"""
FIGURES = "EVALUATION.md says how well it does in each engine."
ELSEWHERE = "`starter-vision-hf/EVALUATION.md` says how well it does in each engine."


def write_card(folder: Path) -> None:
    figures = FIGURES if folder.name.endswith("-hf") else ELSEWHERE
    (folder / "README.md").write_text(CARD.format(figures=figures), encoding="utf-8")
