"""Tries a chat template with marked texts, since a rendering without error may still be wrong.

Templates silently drop what they do not expect: a system text, a text where they expect a list of
parts, the second of two neighbouring questions.
"""

from __future__ import annotations

import re
import secrets
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace

from app.provider.generation.jinja_sandbox import TemplateFailed
from app.provider.generation.message_form import MessageForm
from app.provider.types import (
    ImagePart,
    Message,
    Part,
    Role,
    TextPart,
    ThinkingPart,
    ToolCallPart,
    ToolResultPart,
)

Fill = Callable[[Sequence[Message], MessageForm], str]
"""Renders messages in a form; raises TemplateFailed."""

_PATIENCE = 1.0
"""Seconds. When a failing rendering takes longer, no further forms are tried."""

_PICTURE = ImagePart(b"", "0" * 64, 1, 1)
_EXCHANGE: tuple[Role, ...] = ("user", "assistant", "user")
_NEIGHBOURS: tuple[Role, ...] = ("user", "assistant", "assistant", "user")


@dataclass(frozen=True, slots=True)
class MarkedConversation:
    """A conversation whose texts can be found again in a rendering.

    ``marks`` are those of each message.
    """

    messages: tuple[Message, ...]
    marks: tuple[tuple[str, ...], ...]

    @classmethod
    def of(cls, roles: Iterable[Role], pictured: Iterable[int] = ()) -> MarkedConversation:
        """Make a message for each role, with a text that no template contains.

        Messages at the indices ``pictured`` begin with an image.
        """
        shown = set(pictured)
        return cls.like(
            Message(role, (*((_PICTURE,) if index in shown else ()), TextPart("")))
            for index, role in enumerate(roles)
        )

    @classmethod
    def like(cls, messages: Iterable[Message]) -> MarkedConversation:
        """Make messages of the same shapes; thinking gets no marks, as it may be left out."""
        made = [_marked(message) for message in messages]
        return cls(tuple(one for one, _ in made), tuple(marks for _, marks in made))

    def first_missing(self, text: str) -> int | None:
        """Index of the first message that the text does not show, as plain text and in order.

        A system text may stand anywhere: Mistral's templates put it before the last question. So
        may the marks within a message.
        """
        position = 0
        for index, (message, marks) in enumerate(zip(self.messages, self.marks, strict=True)):
            begin = 0 if message.role in ANYWHERE else position
            places = [_place(mark, text, begin) for mark in marks]
            if any(place < 0 for place in places):
                return index
            if message.role not in ANYWHERE:
                position = max(places, default=position)
        return None


ANYWHERE = frozenset({"system", "developer"})
"""Roles whose texts may stand anywhere in a prompt."""


def shape(message: Message) -> tuple[object, ...]:
    """Equal for messages that a template treats alike whatever their texts are."""
    if not any(map(_is_special, message.parts)):
        return (message.role, bool(message.images))
    kinds = (type(part).__name__ for part in message.parts)
    return (message.role, bool(message.images), *kinds)


def _is_special(part: Part) -> bool:
    return isinstance(part, ThinkingPart | ToolCallPart | ToolResultPart)


def _mark() -> str:
    return f"mark{secrets.token_hex(6)}"


def _place(mark: str, text: str, begin: int) -> int:
    """Where a mark ends in the text; -1 where it is missing, or stands in a list of parts."""
    found = text.find(mark, begin)
    listed = found >= 0 and re.search(rf"""text['"]: ?['"]{mark}""", text)
    return -1 if found < 0 or listed else found + len(mark)


def _marked(message: Message) -> tuple[Message, tuple[str, ...]]:
    if not any(map(_is_special, message.parts)):
        mark, pictures = _mark(), (_PICTURE,) if message.images else ()
        return Message(message.role, (*pictures, TextPart(mark))), (mark,)
    made = [_marked_part(part) for part in message.parts]
    marks = tuple(mark for _, each in made for mark in each)
    return Message(message.role, tuple(part for part, _ in made)), marks


def _marked_part(part: Part) -> tuple[Part, tuple[str, ...]]:
    mark, other = _mark(), _mark()
    match part:
        case TextPart():
            return TextPart(mark), (mark,)
        case ThinkingPart():
            return ThinkingPart(mark), ()
        case ToolCallPart(id=call_id):
            return ToolCallPart(call_id, mark, f'{{"key": "{other}"}}'), (mark, other)
        case ToolResultPart(call_id=call_id, content=content):
            pictures = (_PICTURE,) if any(isinstance(one, ImagePart) for one in content) else ()
            return ToolResultPart(call_id, (*pictures, TextPart(mark))), (mark,)
        case _:
            return _PICTURE, ()


class TemplateUnusable(Exception):
    """No form makes the template show a question; ``str()`` says why."""


class TemplateProbe:
    """Finds the form of messages of which a template drops none.

    ``image_text`` is what it writes for an image; empty for a model that takes none.
    """

    def __init__(self, fill: Fill, image_text: str = "") -> None:
        self._fill = fill
        self._image_text = image_text
        self._reason = ""
        self.missing: list[str] = []
        """Sentences on what the template cannot be made to show."""

    def form(self, contents: Sequence[frozenset[Role]]) -> MessageForm:
        """The first form that works, with as few changes as possible; raises TemplateUnusable.

        ``contents`` are the choices for ``MessageForm.listed``, the best first.
        """
        form = self._with_content([MessageForm(listed) for listed in contents])
        form = self._with_system(form)
        if not (self._shows(form, "user", "user") and self._shows(form, *_NEIGHBOURS)):
            joined = replace(form, joins=True)
            form = joined if self._shows(joined, "user", "user") else form
        return form

    def _with_content(self, forms: Sequence[MessageForm]) -> MessageForm:
        """The form of contents with which the template keeps most, if not all."""
        pictured = [(_EXCHANGE, True, "pictures")] if self._image_text else []
        plain = [(_EXCHANGE, False, "earlier messages"), (("user",), False, "")]
        for roles, pictures, lost in (*pictured, *plain):
            for form in forms:
                if self._shows(form, *roles, pictured=pictures):
                    return form
            self.missing.append(lost)
        raise TemplateUnusable(self._reason or "it leaves the question out")

    def _with_system(self, form: MessageForm) -> MessageForm:
        roles: tuple[Role, ...] = ("system", "user")
        toggled = replace(form, listed=form.listed ^ {"system"})
        for one in (form, toggled, replace(form, merges_system=True)):
            if self._shows(one, *roles):
                return one
        self.missing.append("system texts")
        return form

    def _shows(self, form: MessageForm, *roles: Role, pictured: bool = False) -> bool:
        """Whether the rendering of a conversation of these roles contains every text."""
        marked = MarkedConversation.of(roles, (0,) if pictured else ())
        begun = time.monotonic()
        try:
            text = self._fill(marked.messages, form)
        except TemplateFailed as error:
            self._reason = str(error)
            if time.monotonic() - begun > _PATIENCE:
                raise TemplateUnusable(self._reason) from error
            return False
        pictures = text.count(self._image_text) if self._image_text else 0
        return marked.first_missing(text) is None and pictures == pictured
