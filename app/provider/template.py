"""The old place of the sandbox for chat templates; see generation/jinja_sandbox.py."""

from app.provider.generation.jinja_limits import TemplateFailed, TemplateRefused, bounded, limited
from app.provider.generation.jinja_sandbox import SandboxedTemplate

__all__ = ["SandboxedTemplate", "TemplateFailed", "TemplateRefused", "bounded", "limited"]
