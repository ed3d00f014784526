"""The turns of a conversation as the model's template wants them.

A picture is three turns of its own: what file it is (``mime``), the place of its tokens
(``vector``), and what other programs found in it (``image/aux``).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from app.provider.generation.chat_template import ChatTemplate
from app.provider.generation.message_form import MessageForm
from app.provider.generation.model_tokenizer import ModelTokenizer
from app.provider.generation.plain_messages import content
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
        super().__init__(vocabulary, image_text, contents)

    def _turns(self, messages: Sequence[Message], form: MessageForm) -> list[dict[str, Any]]:
        if form.listed:
            return [{"role": m.role, "content": self._parts(m)} for m in messages]
        return [{"role": m.role, "content": part} for m in messages for part in self._parts(m)]

    def _parts(self, message: Message) -> list[dict[str, str]]:
        return [self._item(part, message.role) for part in content(message)]

    def _item(self, part: TextPart | ImagePart, role: Role) -> dict[str, str]:
        if isinstance(part, TextPart):
            return super()._item(part, role)
        return {
            "type": "image",
            "mime": part.mime,
            "filename": file_name(part),
            "image": "",
            "ocr": self._escaper.escape(part.notes.ocr),
            "lens_keywords": self._escaper.escape(part.notes.lens_keywords),
            "lens_local_keywords": self._escaper.escape(part.notes.lens_local_keywords),
        }


def file_name(part: ImagePart) -> str:
    """A name made of the picture's content: the same picture always has the same."""
    kind = part.mime.rpartition("/")[2]
    return f"{part.sha256[:32]}.{'jpg' if kind == 'jpeg' else kind}"
