"""Imports go down only: dialects, edge, domain, engines (docs/architecture.md)."""

from __future__ import annotations

import pytest

from tests.layers import imports


def test_imports_go_down_only() -> None:
    assert imports.violations() == set()


def test_every_module_lies_in_a_known_layer() -> None:
    assert all(imports.layer(module) >= 0 for module in imports.modules())


@pytest.mark.parametrize(
    ("module", "imported"),
    [
        ("app.v3.routers.chat", "app.v4.models.chat"),
        ("app.openai.routers.chat", "app.v1.models.chat"),
        ("app.openai.routers.chat", "app.anthropic.dialect"),
        ("app.v5.routers.chat", "app.openai.models.chat"),
        ("app.chat.completion", "app.v1.models.chat"),
        ("app.chat.completion", "app.web.sse"),
        ("app.chat.completion", "fastapi"),
        ("app.web.sse", "app.main"),
        ("app.provider.types", "app.chat.request"),
        ("app.provider.types", "pydantic"),
        ("app.conversations.turn", "app.provider.pool.loaded_models"),
        ("app.v5.services.models", "app.provider.runtime.host"),
    ],
)
def test_what_goes_up_is_found(module: str, imported: str) -> None:
    assert imports.breaks(module, imported)


@pytest.mark.parametrize(
    ("module", "imported"),
    [
        ("app.v4.routers.chat", "app.v3.models.chat"),
        ("app.openai.routers.chat", "app.openai.models.chat"),
        ("app.v1.routers.chat", "app.web.sse"),
        ("app.chat.completion", "app.provider.types"),
        ("app.main", "app.v1.routers.chat"),
        ("app.conversations.turn", "app.provider.pool.model_host"),
        ("app.provider.pool.local_host", "app.provider.runtime.host"),
    ],
)
def test_what_goes_down_is_allowed(module: str, imported: str) -> None:
    assert not imports.breaks(module, imported)
