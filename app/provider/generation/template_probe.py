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
from app.provider.types import ImagePart, Message, Role, TextPart

Fill = Callable[[Sequence[Message], MessageForm], str]
"""Renders messages in a form; raises TemplateFailed."""

_PATIENCE = 1.0
"""Seconds. When a failing rendering takes longer, no further forms are tried."""

_PICTURE = ImagePart(b"", "0" * 64, 1, 1)
_EXCHANGE: tuple[Role, ...] = ("user", "assistant", "user")
_NEIGHBOURS: tuple[Role, ...] = ("user", "assistant", "assistant", "user")


@dataclass(frozen=True, slots=True)
class MarkedConversation:
    """A conversation whose texts can be found again in a rendering."""

    messages: tuple[Message, ...]
    marks: tuple[str, ...]

    @classmethod
    def of(cls, roles: Iterable[Role], pictured: Iterable[int] = ()) -> MarkedConversation:
        """Make a message for each role, with a text that no template contains.

        Messages at the indices ``pictured`` begin with an image.
        """
        roles, shown = tuple(roles), set(pictured)
        marks = tuple(f"mark{secrets.token_hex(6)}" for _ in roles)
        messages = (
            Message(role, (*((_PICTURE,) if index in shown else ()), TextPart(mark)))
            for index, (role, mark) in enumerate(zip(roles, marks, strict=True))
        )
        return cls(tuple(messages), marks)

    def first_missing(self, text: str) -> int | None:
        """Index of the first message that the text does not show, as plain text and in order.

        A system text may stand anywhere: Mistral's templates put it before the last question.
        """
        position = 0
        for index, (message, mark) in enumerate(zip(self.messages, self.marks, strict=True)):
            found = text.find(mark, 0 if message.role == "system" else position)
            if found < 0 or re.search(rf"""text['"]: ?['"]{mark}""", text):
                return index
            if message.role != "system":
                position = found + len(mark)
        return None


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
