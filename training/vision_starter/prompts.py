"""Writes a held-out case as the prompt and the pictures that every engine is given."""

from PIL import Image

from training.vision_starter.chatml import IM_END, IM_START, PLACE
from training.vision_starter.conversations import Case

LONGEST_ANSWER = 60  # tokens


def prompt_of(case: Case, place: str = PLACE) -> tuple[str, list[Image.Image]]:
    """Return the prompt, `place` standing where a picture belongs, and the pictures in order."""
    text, pictures = "", []
    if case.system is not None:
        text += f"{IM_START}system\n{case.system}{IM_END}\n"
    for turn in case.turns:
        pictures += [scene.draw() for scene in turn.scenes]
        parts = [place * len(turn.scenes), turn.asked.question]
        asked = "".join(parts if turn.pictures_first else reversed(parts))
        text += f"{IM_START}user\n{asked}{IM_END}\n{IM_START}assistant\n"
        if turn is not case.turns[-1]:
            text += f"{turn.asked.answer}{IM_END}\n"
    return text, pictures
