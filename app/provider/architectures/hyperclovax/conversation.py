"""The turns of a conversation as the model's template wants them.

A picture is three turns of its own: what file it is (``mime``), the place of its tokens
(``vector``), and what other programs found in it (``image/aux``).
"""

from __future__ import annotations

from collections.abc import Iterator

from app.provider.generation.chat_template import ChatTemplate
from app.provider.generation.message_form import MessageForm
from app.provider.generation.model_tokenizer import ModelTokenizer
from app.provider.generation.plain_messages import Content, content
from app.provider.generation.turn_writer import CallIds, Turn, TurnWriter
from app.provider.types import ImagePart, Message, Role, TextPart

TEMPLATE = """
{%- set note = "다음 중 ocr은 사진에서 검출된 글자이고, lens_keyword는 사진에서 추출된 \
keyword와 bbox 위치입니다. bbox는 0~1 사이로 정규화된 [x1, y1, x2, y2]의 형태입니다. \
참고하여 답변하세요. " -%}
<|im_start|>tool_list
<|im_end|>
{% for message in messages -%}
{% for part in message.content -%}
{% if part.type == "text" -%}
<|im_start|>{{ message.role }}
{{ part.text }}<|im_end|>
{% else -%}
<|im_start|>user (mime)
{"type": {{ part.mime | tojson }}, "filename": {{ part.filename | tojson }}}<|im_end|>
<|im_start|>user (vector)
<|dummy3|><|im_end|>
<|im_start|>image/aux
{{ note }}{"ocr": {{ part.ocr | tojson }}, "lens_keywords": {{ part.lens_keywords | tojson }}, \
"lens_local_keywords": {{ part.lens_local_keywords | tojson }}}<|im_end|>
{% endif -%}
{% endfor -%}
{% endfor -%}
{% if add_generation_prompt -%}
<|im_start|>assistant
{% endif -%}
"""
"""For folders that bring no template; for content that is a list of parts."""

PLACEHOLDER = "<|dummy3|>"
"""Where ``TEMPLATE`` puts a picture."""

_EVERYTHING: frozenset[Role] = frozenset({"system", "user", "assistant"})


class Conversation(ChatTemplate):
    """The template and tokeniser of a HyperCLOVA X vision model.

    ``image_text`` is what its template writes in the place of a picture. ``list_content``: it was
    written for messages that are lists of parts, as far as the layout tells; tried out here.
    """

    def __init__(self, vocabulary: ModelTokenizer, image_text: str, *, list_content: bool) -> None:
        nothing: frozenset[Role] = frozenset()
        contents = (_EVERYTHING, nothing) if list_content else (nothing, _EVERYTHING)
        super().__init__(vocabulary, image_text, contents, PictureTurns)


class PictureTurns(TurnWriter):
    """Writes pictures with their notes; without lists of parts, every part is a message."""

    def turns_of(self, message: Message, form: MessageForm, ids: CallIds) -> Iterator[Turn]:
        """What becomes of one message."""
        if form.listed or not all(isinstance(part, Content) for part in message.parts):
            yield from super().turns_of(message, form, ids)
            return
        for part in content(message):
            yield {"role": message.role, "content": self.item(part, message.role)}

    def item(self, part: Content, role: Role) -> dict[str, str]:
        """A part in a list of parts."""
        if isinstance(part, TextPart):
            return super().item(part, role)
        return {
            "type": "image",
            "mime": part.mime,
            "filename": file_name(part),
            "image": "",
            "ocr": self.escaper.escape(part.notes.ocr),
            "lens_keywords": self.escaper.escape(part.notes.lens_keywords),
            "lens_local_keywords": self.escaper.escape(part.notes.lens_local_keywords),
        }


def file_name(part: ImagePart) -> str:
    """A name made of the picture's content: the same picture always has the same."""
    kind = part.mime.rpartition("/")[2]
    return f"{part.sha256[:32]}.{'jpg' if kind == 'jpeg' else kind}"
