"""Asks the HyperCLOVA X folder through the server's own modules, one case at a time, in float32."""

import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from PIL import Image
from transformers import PreTrainedTokenizerFast

from app.provider.architectures.hyperclovax.loading import load
from app.provider.architectures.hyperclovax.pixels import tiles
from training.vision_starter.conversations import Case
from training.vision_starter.hyperclovax_files import FOLDER
from training.vision_starter.hyperclovax_prompt import END_OF_TEXT, IM_END, IMAGE
from training.vision_starter.prompts import LONGEST_ANSWER


def answerer(models: Path) -> Callable[[Case], str]:
    """Return what answers a case."""
    model = load(models / FOLDER, torch.float32)
    tokenizer = PreTrainedTokenizerFast.from_pretrained(models / FOLDER)
    ends = tokenizer.convert_tokens_to_ids([IM_END, END_OF_TEXT])

    def answer(case: Case) -> str:
        pictures = [scene.draw() for turn in case.turns for scene in turn.scenes]
        text = tokenizer.apply_chat_template(
            _messages(case), tokenize=False, add_generation_prompt=True
        )
        for picture in pictures:
            count = model.config.tiling.tokens(*picture.size)
            text = text.replace(IMAGE, "\0" * count, 1)
        text = text.replace("\0", IMAGE)
        ids = torch.tensor(tokenizer.encode(text, add_special_tokens=False))
        with torch.no_grad():
            rows = model.spliced(ids, [_rows(model, picture) for picture in pictures])
            made = model.language_model.generate(
                inputs_embeds=rows[None],
                attention_mask=torch.ones(1, len(rows), dtype=torch.long),
                max_new_tokens=LONGEST_ANSWER,
                do_sample=False,
                eos_token_id=ends,
                pad_token_id=ends[1],
            )
        return str(tokenizer.decode(made[0], skip_special_tokens=True))

    return answer


def _rows(model: Any, picture: Image.Image) -> torch.Tensor:
    cut = tiles(picture, model.config.tiling, model.config.pixels)
    rows: torch.Tensor = model.encode(torch.from_numpy(cut), *picture.size)
    return rows


def _messages(case: Case) -> list[dict[str, Any]]:
    """Return the case as the chat template of the family takes it."""
    messages: list[dict[str, Any]] = []
    if case.system is not None:
        messages.append({"role": "system", "content": case.system})
    for turn in case.turns:
        shown = [{"type": "image", **_file(scene.draw())} for scene in turn.scenes]
        asked = [{"type": "text", "text": turn.asked.question}]
        content = shown + asked if turn.pictures_first else asked + shown
        messages.append({"role": "user", "content": content})
        messages.append({"role": "assistant", "content": turn.asked.answer})
    return messages[:-1]


def _file(picture: Image.Image) -> dict[str, str]:
    """Return how the server names a picture: by its content."""
    digest = hashlib.sha256(picture.tobytes()).hexdigest()
    return {"mime": "image/png", "filename": f"{digest[:32]}.png"}
