"""What ``/prompt/templates`` gives."""

from __future__ import annotations

from app.v3.models.template import Template
from app.web.schema import WireModel


class TemplateList(WireModel):
    """All prompt templates, sorted by name."""

    templates: list[Template]
