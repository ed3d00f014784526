"""Asks the exported Hugging Face files through transformers and its own image processor."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from tokenizers import Tokenizer
from transformers import AutoImageProcessor, Qwen2_5_VLForConditionalGeneration

from training.vision_starter.chatml import IMAGE
from training.vision_starter.conversations import Case
from training.vision_starter.prompts import LONGEST_ANSWER, prompt_of


def answerer(models: Path) -> Callable[[Case], str]:
    """Return what answers a case, in float32."""
    folder = models / "starter-vision-hf"
    model = Qwen2_5_VLForConditionalGeneration.from_pretrained(folder, dtype=torch.float32).eval()
    processor = AutoImageProcessor.from_pretrained(folder)
    tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
    image = tokenizer.token_to_id(IMAGE)

    def answer(case: Case) -> str:
        text, pictures = prompt_of(case)
        seen: dict[str, Any] = (
            dict(processor(images=pictures, return_tensors="pt")) if pictures else {}
        )
        sizes = [int(grid.prod()) // 4 for grid in seen.get("image_grid_thw", [])]
        ids = _repeated(tokenizer.encode(text, add_special_tokens=False).ids, image, sizes)
        inputs = torch.tensor([ids])
        with torch.no_grad():
            made = model.generate(
                input_ids=inputs,
                attention_mask=torch.ones_like(inputs),
                mm_token_type_ids=(inputs == image).int(),
                max_new_tokens=LONGEST_ANSWER,
                do_sample=False,
                **seen,
            )
        return tokenizer.decode(made[0, len(ids) :].tolist())

    return answer


def _repeated(ids: list[int], image: int, sizes: list[int]) -> list[int]:
    """Repeat the token of each picture as often as the picture has tokens."""
    waiting = iter(sizes)
    return [token for t in ids for token in ([t] * next(waiting) if t == image else [t])]
