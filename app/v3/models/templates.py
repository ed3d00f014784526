"""What ``/prompt/templates`` gives."""

from __future__ import annotations

from app.v1.models.base import WireModel
from app.v3.models.template import Template


class TemplateList(WireModel):
    """All prompt templates, sorted by name."""

    templates: list[Template]
