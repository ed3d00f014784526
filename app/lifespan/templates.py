"""The prompt templates that come with the server, or those of a folder that a setting names."""

from __future__ import annotations

from app.config import Settings
from app.templates.library import TemplateLibrary, load


def built_in_templates(settings: Settings) -> TemplateLibrary:
    """Only a folder that was asked for has to be there; raises BrokenTemplate."""
    if "prompts_dir" not in settings.model_fields_set and not settings.prompts_dir.exists():
        return TemplateLibrary(())
    from app.v3.services.templates import parsed_template  # noqa: PLC0415 — only with templates

    return load(settings.prompts_dir, parsed_template)
