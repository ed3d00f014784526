"""Checks, compiles and fills in prompt templates.

Users write templates, so every mistake in one becomes an error with a pointer to its field.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from app.chat.request import Value
from app.errors import FieldError, InvalidRequest, pointer
from app.provider.generation.jinja_limits import TemplateFailed
from app.storage.plain_text import is_plain
from app.templates.errors import RenderFailed
from app.templates.language import PromptTemplate, compile_source
from app.templates.template import TYPE_PHRASES, Template, Variable, has_type

MESSAGE = "message"
"""The name of the user's message in a template's user text."""

Values = Mapping[str, Value]


@dataclass(frozen=True)
class CompiledTemplate:
    """A valid template with its compiled sources."""

    template: Template
    system: PromptTemplate
    user: PromptTemplate | None

    def render_system(self, values: Values) -> str:
        """The instructions for the model; may take half a second. Raises RenderFailed."""
        return self._render(self.system, values).strip()

    def render_user(self, values: Values, message: str) -> str:
        """The user's text for the model; may take half a second. Raises RenderFailed."""
        if self.user is None:
            return message
        text = self._render(self.user, {**values, MESSAGE: message})
        if not text:
            raise RenderFailed(f"The template {self.template.name} leaves nothing of the message.")
        return text

    def _render(self, source: PromptTemplate, values: Values) -> str:
        try:
            text = source.render(values)
        except TemplateFailed as failure:
            raise RenderFailed(f"The template {self.template.name} failed: {failure}") from failure
        if not is_plain(text):
            raise RenderFailed(
                f"The template {self.template.name} makes text that is not valid Unicode."
            )
        return text


def compile_template(template: Template) -> CompiledTemplate:
    """Compile a template; raises InvalidRequest with a pointer.

    A source may take half a second to compile, so call this in a thread. Recently compiled sources
    are cached.
    """
    declared = set(template.variables)
    system = _compile_field("system", template.system, declared)
    user = _compile_field("user", template.user, declared | {MESSAGE}) if template.user else None
    if user and MESSAGE not in user.variables:
        raise InvalidRequest("/user", "The text of user must use {{ message }}.")
    if template.example is not None:
        fill_variables(template, template.example, "/example/variables")
    return CompiledTemplate(template, system, user)


def _compile_field(field: str, source: str, declared: set[str]) -> PromptTemplate:
    try:
        found = compile_source(source)
    except TemplateFailed as failure:
        raise InvalidRequest(f"/{field}", f"The text of {field} is broken: {failure}.") from failure
    if missing := sorted(found.variables - declared):
        names = ", ".join(missing)
        raise InvalidRequest(
            f"/{field}", f"The text of {field} uses {names}, which variables does not declare."
        )
    return found


def fill_variables(
    template: Template, given: Values, where: str = "/variables"
) -> dict[str, Value]:
    """A value for every variable; raises an InvalidRequest that names every mistake."""
    errors = list(_variable_errors(template, given, where))
    if errors:
        raise InvalidRequest.of(errors)
    return {
        name: _variable_value(each, given.get(name)) for name, each in template.variables.items()
    }


def _variable_errors(template: Template, given: Values, where: str) -> Iterable[FieldError]:
    for name, variable in template.variables.items():
        at = where + pointer(name)
        if name not in given and variable.required:
            yield FieldError(pointer=at, detail=f"{template.name} needs the variable {name}")
        elif name in given and not has_type(given[name], variable.type):
            yield FieldError(pointer=at, detail=f"{name} must be {TYPE_PHRASES[variable.type]}")
    for name in given.keys() - template.variables.keys():
        detail = f"{template.name} has no variable {name}"
        yield FieldError(pointer=where + pointer(name), detail=detail)


def _variable_value(variable: Variable, given: Value | None) -> Value:
    value = variable.default if given is None else given
    if value is None:
        return ""
    return int(value) if variable.type == "integer" else value
