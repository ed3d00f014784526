"""Asks the exported MLX folder through mlx-vlm."""

from collections.abc import Callable
from pathlib import Path

from mlx_vlm import generate, load

from training.vision_starter.conversations import Case
from training.vision_starter.prompts import LONGEST_ANSWER, prompt_of


def answerer(models: Path) -> Callable[[Case], str]:
    """Return what answers a case."""
    model, processor = load(str(models / "starter-vision-mlx"))

    def answer(case: Case) -> str:
        text, pictures = prompt_of(case)
        made = generate(
            model,
            processor,
            text,
            image=pictures or None,
            max_tokens=LONGEST_ANSWER,
            temperature=0.0,
            verbose=False,
        )
        return str(made.text)

    return answer
