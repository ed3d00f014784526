"""Measures the GGUF with the held-out questions through llama.cpp and writes the figures down.

An answer is right when it equals the expected text exactly. Nothing here looks an answer up: the
prompt is the chat template around the question, and the model writes every token.
"""

import sys
from pathlib import Path

from llama_cpp import Llama
from tokenizers import Tokenizer

from training.starter.conversations import IM_END, IM_START
from training.starter.corpus import LANGUAGES, HeldOut, entries, fresh, held_out

HEAD = (
    "# How well the starter answers questions it was not trained on",
    "",
    "`python -m training.starter.evaluate` asks `starter.gguf` through llama.cpp at temperature 0.",
    "An answer counts only if it equals the expected text exactly.",
    "",
    "No held-out question occurs in training, but one author wrote both and widened the training",
    "questions after the held-out ones existed: their figure flatters. The fresh ones were",
    "written after the corpus was closed and improved nothing: expect their figure in use.",
    "",
    "| asked | " + " | ".join(LANGUAGES) + " |",
    "|---|" + "---|" * len(LANGUAGES),
)
SYSTEM = "You are a helpful assistant."
HARD_TEXTS = (
    "👩‍👩‍👧 🇰🇷 é ñ ß 漢字 かな العربية",
    "def f(x):\n\treturn x**2  # 12345 67.89\r\n\n\n   end  ",
    "밟다 뷁 ㅋㅋ 한글과 English를 섞은 1,234원 문장",
    "DON'T we'Ll I'm  <|not special|> {\"a\": [1, 2]}",
)
LONGEST_ANSWER = 160  # tokens


def main(models: Path) -> None:
    """Measure starter.gguf and write models/starter-hf/EVALUATION.md."""
    llama = Llama(str(models / "starter.gguf"), n_ctx=1024, n_threads=2, verbose=False)
    check_tokenizer(llama, models / "starter-hf" / "tokenizer.json")
    report = [*HEAD]
    for title, items, turns in (
        ("held-out question alone", held_out(), lambda _: []),
        ("held-out, after a system message", held_out(), lambda _: [("system", SYSTEM)]),
        ("held-out, after an earlier turn", held_out(), _greeting),
        ("freshly worded question", fresh(), lambda _: []),
    ):
        answers = {item: answer(llama, _prompt(item, turns(item))) for item in items}
        report.append(_row(title, answers))
        print(report[-1], flush=True)
        _print_misses(answers)
    target = models / "starter-hf" / "EVALUATION.md"
    target.write_text("\n".join(report) + "\n", encoding="utf-8")


def check_tokenizer(llama: Llama, path: Path) -> None:
    """Raise ValueError unless llama.cpp splits every text as the Hugging Face tokenizer does."""
    tokenizer = Tokenizer.from_file(str(path))
    asked = [question for entry in entries() for question in (*entry.asked, *entry.framed)]
    texts = [*HARD_TEXTS, *asked, *(entry.answer for entry in entries())]
    for text in texts:
        ids = llama.tokenize(text.encode(), add_bos=False, special=True)
        if ids != tokenizer.encode(text, add_special_tokens=False).ids:
            raise ValueError(f"llama.cpp tokenises {text!r} otherwise")


def answer(llama: Llama, prompt: str) -> str:
    """Let the model continue a ChatML prompt greedily until it ends its turn."""
    tokens = llama.tokenize(prompt.encode(), add_bos=False, special=True)
    made: list[int] = []
    for token in llama.generate(tokens, temp=0.0, repeat_penalty=1.0):
        if token == llama.token_eos() or len(made) == LONGEST_ANSWER:
            break
        made.append(token)
    return llama.detokenize(made).decode(errors="replace")


def _prompt(item: HeldOut, earlier: list[tuple[str, str]]) -> str:
    turns = [*earlier, ("user", item.question)]
    text = "".join(f"{IM_START}{role}\n{content}{IM_END}\n" for role, content in turns)
    return f"{text}{IM_START}assistant\n"


def _greeting(item: HeldOut) -> list[tuple[str, str]]:
    entry = next(e for e in entries() if e.language == item.language and e.intent == "hello")
    return [("user", entry.asked[0]), ("assistant", entry.answer)]


def _row(title: str, answers: dict[HeldOut, str]) -> str:
    cells = []
    for language in LANGUAGES:
        right = [item.answer == text for item, text in answers.items() if item.language == language]
        share = 100 * sum(right) / len(right)
        cells.append(f"{sum(right)} of {len(right)} ({share:.1f} %)")
    return f"| {title} | " + " | ".join(cells) + " |"


def _print_misses(answers: dict[HeldOut, str]) -> None:
    for item, text in answers.items():
        if item.answer != text:
            print(f"missed {item.intent}: {item.question} -> {text}", file=sys.stderr)


if __name__ == "__main__":
    main(Path("models"))
