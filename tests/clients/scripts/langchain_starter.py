"""What LangChain's standard tests are told of the starter, whatever class asks it.

The model has a few megabytes: what it writes does not follow from the question, and seldom ends. A
bias for the quotation mark ends its strings in JSON. Loaded as a plugin as well, for its hook.
"""

import os

import pytest

UNDERSTANDS = "wants a model that understands the question"
LEFT_OUT = {
    "test_tool_calling": UNDERSTANDS,
    "test_tool_calling_async": UNDERSTANDS,
    "test_bind_runnables_as_tools": UNDERSTANDS,
    "test_tool_calling_with_no_arguments": UNDERSTANDS,
    "test_agent_loop": UNDERSTANDS,
    "test_unicode_tool_call_integration": UNDERSTANDS,
}
DRAWN = {"model": "starter", "max_tokens": 400, "temperature": 1, "seed": 1}
"""Drawn answers end sooner."""


def quotation_mark_bias() -> dict[str, int]:
    """A bias for the quotation mark."""
    return {os.environ["QUOTATION_MARK"]: 12}


class AsksStarter:
    """What the starter can do."""

    @property
    def supports_image_inputs(self) -> bool:
        """The starter sees nothing; pictures are in the other checks, with starter-vision."""
        return False

    @property
    def supports_model_override(self) -> bool:
        """Any model there is."""
        return True

    @property
    def model_override_value(self) -> str:
        """The other starter."""
        return "starter-vision"

    @property
    def supports_json_mode(self) -> bool:
        """Its test wants the keys that the question names, of a model that understands it."""
        return False


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Skip what is left out."""
    for item in items:
        if reason := LEFT_OUT.get(getattr(item, "originalname", "")):
            item.add_marker(pytest.mark.skip(reason=reason))
