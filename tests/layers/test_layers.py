"""Imports go down only: dialects, edge, domain, engines (docs/architecture.md)."""

from __future__ import annotations

import pytest

from tests.layers import imports

KNOWN_VIOLATIONS = """
app.chat.completion -> app.v1.models.chat
app.conversations.ask_with_images -> app.v5.models.chat
app.conversations.ask_with_images -> app.v5.services.images
app.conversations.defaults -> app.v3.models.template
app.conversations.defaults -> app.v4.models.chat
app.conversations.defaults -> app.web.schema
app.conversations.defaults -> pydantic
app.conversations.markdown -> app.web.timestamps
app.conversations.start -> app.v4.models.chat
app.conversations.stop -> app.v4.models.turns
app.conversations.titles -> app.v4.models.conversations
app.conversations.titles -> app.v4.models.turns
app.conversations.token_count -> app.v4.models.chat
app.conversations.token_count -> app.v4.models.turns
app.downloads.jobs -> app.v5.models.pull
app.downloads.jobs -> app.web.error_codes
app.downloads.jobs -> app.web.timestamps
app.reference.export -> app.versions
app.reference.pages -> app.versions
app.templates.apply -> app.v1.models.chat
app.templates.apply -> app.v3.models.chat
app.templates.editing -> app.v3.models.template
app.templates.editing -> app.v4.models.templates
app.templates.editing -> app.web.etags
app.templates.library -> app.v3.models.template
app.templates.library -> pydantic
app.templates.rendering -> app.v3.models.template
app.templates.rendering -> app.web.schema
app.templates.rendering -> pydantic
app.templates.user_templates -> app.v3.models.template
app.templates.user_templates -> app.v4.models.templates
app.templates.user_templates -> app.web.paging
app.templates.user_templates -> app.web.timestamps
"""
"""What still goes up. The list may only shrink."""


def test_imports_go_down_only() -> None:
    assert imports.violations() == {line for line in KNOWN_VIOLATIONS.splitlines() if line}


def test_every_module_lies_in_a_known_layer() -> None:
    assert all(imports.layer(module) >= 0 for module in imports.modules())


@pytest.mark.parametrize(
    ("module", "imported"),
    [
        ("app.v3.routers.chat", "app.v4.models.chat"),
        ("app.chat.completion", "app.v1.models.chat"),
        ("app.chat.completion", "app.web.sse"),
        ("app.chat.completion", "fastapi"),
        ("app.web.sse", "app.main"),
        ("app.provider.types", "app.chat.request"),
        ("app.provider.types", "pydantic"),
    ],
)
def test_what_goes_up_is_found(module: str, imported: str) -> None:
    assert imports.breaks(module, imported)


@pytest.mark.parametrize(
    ("module", "imported"),
    [
        ("app.v4.routers.chat", "app.v3.models.chat"),
        ("app.v1.routers.chat", "app.web.sse"),
        ("app.chat.completion", "app.provider.types"),
        ("app.main", "app.v1.routers.chat"),
    ],
)
def test_what_goes_down_is_allowed(module: str, imported: str) -> None:
    assert not imports.breaks(module, imported)
