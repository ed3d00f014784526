"""The turns of a conversation as the model's template wants them.

A picture is three turns of its own: what file it is (``mime``), the place of its tokens
(``vector``), and what other programs found in it (``image/aux``).
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import Any

from app.provider.chat import Chat, Vocabulary
from app.provider.template import TemplateFailed
from app.provider.types import ImagePart, Message, TextPart

log = logging.getLogger(__name__)

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

_PROBE = (
    Message.of("system", "probe one"),
    Message("user", (ImagePart(b"", "0" * 64, 1, 1), TextPart("probe two"))),
    Message.of("assistant", "probe three"),
    Message.of("user", "probe four"),
)
_PROBED = ("probe one", "probe two", "probe three", "probe four")


class Conversation(Chat):
    """The template and tokeniser of a HyperCLOVA X vision model.

    ``image_text`` is what its template writes in the place of a picture. ``list_content``: it was
    written for messages that are lists of parts, as far as the layout tells; tried out here.
    """

    def __init__(self, vocabulary: Vocabulary, image_text: str, *, list_content: bool) -> None:
        super().__init__(vocabulary, image_text)
        self._list_content = list_content
        if not self._understood():
            self._list_content = not list_content
            if not self._understood():
                log.warning("the model's chat template shows no picture in any known form")

    def _understood(self) -> bool:
        """Whether the template finds all parts of messages in the present form."""
        try:
            text = self._fill(_PROBE)
        except TemplateFailed:
            return False
        whole = "'type'" not in text  # an object that was printed as it is
        pictures = text.count(self._image_text)
        return whole and pictures == 1 and all(text.count(one) == 1 for one in _PROBED)

    def _turns(self, messages: Sequence[Message]) -> list[dict[str, Any]]:
        if self._list_content:
            return [{"role": m.role, "content": self._parts(m)} for m in messages]
        return [{"role": m.role, "content": part} for m in messages for part in self._parts(m)]

    def _parts(self, message: Message) -> list[dict[str, str]]:
        return [self._item(part) for part in message.parts]

    def _item(self, part: TextPart | ImagePart) -> dict[str, str]:
        if isinstance(part, TextPart):
            return super()._item(part)
        return {
            "type": "image",
            "mime": part.mime,
            "filename": file_name(part),
            "image": "",
            "ocr": self._disarm(part.notes.ocr),
            "lens_keywords": self._disarm(part.notes.lens_keywords),
            "lens_local_keywords": self._disarm(part.notes.lens_local_keywords),
        }


def file_name(part: ImagePart) -> str:
    """A name made of the picture's content: the same picture always has the same."""
    kind = part.mime.rpartition("/")[2]
    return f"{part.sha256[:32]}.{'jpg' if kind == 'jpeg' else kind}"
