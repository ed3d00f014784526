"""Measures the exported model in every engine on held-out cases and writes the figures down.

An answer is right when it equals the expected text exactly. Each engine runs in a process of its
own: importing one may change how another behaves.
"""

import argparse
import importlib
import json
import subprocess
import sys
import time
from pathlib import Path

from training.vision_starter.conversations import KINDS, held_out_cases

SEED = 1
ENGINES: dict[str, tuple[str, dict[str, bool]]] = {
    "transformers": ("engine_transformers", {}),
    "llama.cpp": ("engine_llama", {}),
    "llama.cpp, resizing itself": ("engine_llama", {"resizing": False}),
    "mlx-vlm": ("engine_mlx", {}),
    "HyperCLOVA X": ("engine_hyperclovax", {}),
}
REPORTS = {
    "starter-vision-hf": [name for name in ENGINES if name != "HyperCLOVA X"],
    "starter-vision-hyperclovax": ["HyperCLOVA X"],
}
HEAD = """# How well the vision starter answers

`python -m training.vision_starter.evaluate` shows the model {count} random pictures that training
never saw and asks held-out questions, in English and Korean alike, at temperature 0. An answer
counts only if it equals the expected text exactly.

Pictures and questions come from the generator that training uses: held out are the pictures and
the wordings, not the style of drawing. Photographs and other drawings are outside of what it knows.

"""
NOTES = """
"named": the question names a thing or a place ("What is on the left?"). "later turn": asked one to
three turns after the picture. "last of two": the last of two pictures, in one message or two.
"limits": questions it must decline. A system message stands before every seventh conversation.

A few trained wordings were added after misses on these cases had been read: they flatter a little.
"""
REMARKS = {
    "starter-vision-hf": """
llama.cpp is given pictures in the size that Hugging Face's processor would make; "resizing itself"
is what llama-server does with `--image-max-tokens 49`: it keeps the shape of a picture and adds
black bars.
""",
    "starter-vision-hyperclovax": """
Asked through the server's own modules in float32, pictures in up to four tiles (anyres).
""",
}


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m training.vision_starter.evaluate")
    parser.add_argument("--models", type=Path, default=Path("models"), help="where they are")
    parser.add_argument("--cases", type=int, default=1200, help="how many to ask")
    parser.add_argument("--folder", choices=REPORTS, help="measure one model only")
    parser.add_argument("--engine", choices=ENGINES, help="print the figures of one as JSON")
    options = parser.parse_args()
    if options.engine:
        print(json.dumps(measure(options.engine, options.models, options.cases)))
    else:
        for folder in [options.folder] if options.folder else REPORTS:
            report(options.models, folder, options.cases)


def measure(engine: str, models: Path, count: int) -> dict[str, float]:
    """Return the share of right answers by kind and in all, and the seconds per answer."""
    module, options = ENGINES[engine]
    answer = importlib.import_module(f"training.vision_starter.{module}").answerer(
        models, **options
    )
    right: dict[str, list[bool]] = {kind: [] for kind in KINDS}
    started = time.monotonic()
    for case in held_out_cases(count, SEED):
        answered = answer(case)
        right[case.kind].append(answered == case.answer)
        if answered != case.answer:
            asked = case.turns[-1].asked.question
            print(
                f"missed {case.kind}: {asked} -> {answered} (not: {case.answer})", file=sys.stderr
            )
    seconds = (time.monotonic() - started) / count
    every = [hit for hits in right.values() for hit in hits]
    shares = {kind: sum(hits) / len(hits) for kind, hits in right.items() if hits}
    return {**shares, "all": sum(every) / len(every), "seconds": seconds}


def report(models: Path, folder: str, count: int) -> None:
    """Ask a model through all its engines and write EVALUATION.md into its folder."""
    figures = {engine: _apart(engine, models, count) for engine in REPORTS[folder]}
    text = HEAD.format(count=count) + _table(figures) + NOTES + REMARKS[folder]
    (models / folder / "EVALUATION.md").write_text(text, encoding="utf-8")
    print(text, flush=True)


def _table(figures: dict[str, dict[str, float]]) -> str:
    rows = [f"| asked | {' | '.join(figures)} |", "|---" * (len(figures) + 1) + "|"]
    for kind in (*KINDS, "all"):
        shares = (f"{100 * found[kind]:.1f} %" for found in figures.values())
        rows.append(f"| {kind} | " + " | ".join(shares) + " |")
    return "\n".join(rows) + "\n"


def _apart(engine: str, models: Path, count: int) -> dict[str, float]:
    command = [sys.executable, "-m", "training.vision_starter.evaluate", "--engine", engine]
    options = ["--models", str(models), "--cases", str(count)]
    done = subprocess.run([*command, *options], stdout=subprocess.PIPE, check=True, text=True)
    found: dict[str, float] = json.loads(done.stdout.strip().splitlines()[-1])
    print(engine, found, flush=True)
    return found


if __name__ == "__main__":
    main()
