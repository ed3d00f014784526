"""The tokens and the chat template of the HyperCLOVA X checkpoint, in the form of that family.

Its vocabulary is that of the Qwen2.5-VL one with other names for the special tokens, so that the
text half of the one can start from the other's.
"""

import json
from random import Random

from tokenizers import Tokenizer
from transformers import PreTrainedTokenizerFast

from training.vision_starter import chatml as qwen
from training.vision_starter.conversations import Conversation, Turn
from training.vision_starter.drawing import Scene

IM_START, IM_END, END_OF_TEXT = qwen.IM_START, qwen.IM_END, qwen.END_OF_TEXT
IMAGE, VIDEO = "<|dummy3|>", "<|_unuse_missing_100270|>"
STOP, END_OF_TURN = "<|stop|>", "<|endofturn|>"
RENAMED = {
    qwen.IMAGE: IMAGE,
    qwen.VIDEO: VIDEO,
    qwen.VISION_START: STOP,
    qwen.VISION_END: END_OF_TURN,
    qwen.VISION_PAD: "<|dummy4|>",
}
NOTE = (
    "다음 중 ocr은 사진에서 검출된 글자이고, lens_keyword는 사진에서 추출된 keyword와 bbox "
    "위치입니다. bbox는 0~1 사이로 정규화된 [x1, y1, x2, y2]의 형태입니다. 참고하여 답변하세요. "
)
CHAT_TEMPLATE = (
    "<|im_start|>tool_list\n<|im_end|>\n"
    "{% for message in messages %}"
    "{% if message.content is string %}"
    "{{ '<|im_start|>' + message.role + '\n' + message.content + '<|im_end|>\n' }}"
    "{% else %}{% for part in message.content %}"
    "{% if part.type == 'text' %}"
    "{{ '<|im_start|>' + message.role + '\n' + part.text + '<|im_end|>\n' }}"
    "{% elif part.type == 'image' %}"
    "{{ '<|im_start|>user (mime)\n{\"type\": ' + (part.mime or 'image/jpeg') | tojson"
    " + ', \"filename\": ' + (part.filename or 'image.jpg') | tojson + '}<|im_end|>\n' }}"
    "{{ '<|im_start|>user (vector)\n<|dummy3|><|im_end|>\n' }}"
    "{% if part.ocr or part.lens_keywords or part.lens_local_keywords %}"
    "{{ '<|im_start|>image/aux\n" + NOTE + "{\"ocr\": ' + (part.ocr or '') | tojson"
    " + ', \"lens_keywords\": ' + (part.lens_keywords or '') | tojson"
    " + ', \"lens_local_keywords\": ' + (part.lens_local_keywords or '') | tojson"
    " + '}<|im_end|>\n' }}{% endif %}"
    "{% endif %}{% endfor %}{% endif %}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}"
)
"""One difference from the family's: no `image/aux` turn where nothing was found in a picture."""

KINDS = {"image/png": "png", "image/jpeg": "jpg", "image/webp": "webp"}
NAMED = 0.4  # share of the pictures whose file has a long name, as the server gives it
VERDICT = 4.0  # weight of the tokens that say yes or no
NOTED = 0.04  # share of the pictures that come with what other programs found in them
WORDS = (
    "",
    "",
    "drawing",
    "shape",
    "SALE 50%",
    "도형",
    "그림",
    "12:30",
    "logo [0.1, 0.2, 0.5, 0.9]",
)

Piece = str | Scene  # text, or a picture that stands in its place
Part = tuple[list[Piece], float]  # and how much the model learns to write it


def new_tokenizer(source: PreTrainedTokenizerFast) -> PreTrainedTokenizerFast:
    """Return the tokenizer of the first model under the names of this family."""
    text: str = source.backend_tokenizer.to_str()
    for theirs, ours in RENAMED.items():
        text = text.replace(theirs, ours)
    return PreTrainedTokenizerFast(
        tokenizer_object=Tokenizer.from_str(text),
        eos_token=IM_END,
        pad_token=END_OF_TEXT,
        chat_template=CHAT_TEMPLATE,
        model_max_length=qwen.CONTEXT,
        clean_up_tokenization_spaces=False,
    )


def parts(talk: Conversation, random: Random) -> list[Part]:
    """Return a conversation as the template writes it, with made-up names of the files."""
    made: list[Part] = [([f"{IM_START}tool_list\n{IM_END}\n"], 0.0)]
    if talk.system is not None:
        made.append(([f"{IM_START}system\n{talk.system}{IM_END}\n"], 0.0))
    for turn in talk.turns:
        seen, rest = turn.asked.parts
        made += [(_asked(turn, random), 0.0), ([seen], 1.0)]
        made += [([rest + IM_END], VERDICT if seen else 1.0), (["\n"], 0.0)]
    return made


def _asked(turn: Turn, random: Random) -> list[Piece]:
    question: list[Piece] = [f"{IM_START}user\n{turn.asked.question}{IM_END}\n"]
    shown = [piece for scene in turn.scenes for piece in _shown(scene, random)]
    asked = shown + question if turn.pictures_first else question + shown
    return [*asked, f"{IM_START}assistant\n"]


def _shown(scene: Scene, random: Random) -> list[Piece]:
    kind = random.choice(list(KINDS))
    name = f"{random.getrandbits(128):032x}" if random.random() < NAMED else "image"
    mime = json.dumps({"type": kind, "filename": f"{name}.{KINDS[kind]}"})
    before = f"{IM_START}user (mime)\n{mime}{IM_END}\n{IM_START}user (vector)\n"
    return [before, scene, f"{IM_END}\n{_note(random)}"]


def _note(random: Random) -> str:
    if random.random() > NOTED:
        return ""
    found = {name: random.choice(WORDS) for name in ("ocr", "lens_keywords", "lens_local_keywords")}
    if not any(found.values()):
        return ""
    return f"{IM_START}image/aux\n{NOTE}{json.dumps(found, ensure_ascii=False)}{IM_END}\n"
