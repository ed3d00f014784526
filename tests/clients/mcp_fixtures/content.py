"""Content of each kind, as small as it can be, and the tools that answer with it."""

from __future__ import annotations

import base64
import io
import wave
from collections.abc import Sequence

import mcp_types as types
from PIL import Image

from app.mcp.call import Context
from tests.clients.mcp_fixtures.tool import Run, Tool


def _picture() -> str:
    buffer = io.BytesIO()
    Image.new("RGB", (1, 1), "red").save(buffer, "PNG")
    return base64.b64encode(buffer.getvalue()).decode()


def _sound() -> str:
    buffer = io.BytesIO()
    with wave.open(buffer, "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(1)
        file.setframerate(8000)
    return base64.b64encode(buffer.getvalue()).decode()


PNG = _picture()
IMAGE = types.ImageContent(type="image", data=PNG, mime_type="image/png")
AUDIO = types.AudioContent(type="audio", data=_sound(), mime_type="audio/wav")


def text(value: str) -> types.TextContent:
    """A text."""
    return types.TextContent(type="text", text=value)


def resource(uri: str, value: str, mime_type: str = "text/plain") -> types.EmbeddedResource:
    """A resource that holds a text."""
    held = types.TextResourceContents(uri=uri, mime_type=mime_type, text=value)
    return types.EmbeddedResource(type="resource", resource=held)


CONTENTS: dict[str, Sequence[types.ContentBlock]] = {
    "test_simple_text": [text("A text.")],
    "test_image_content": [IMAGE],
    "test_audio_content": [AUDIO],
    "test_embedded_resource": [resource("test://embedded-resource", "A text in a resource.")],
    "test_multiple_content_types": [
        text("Three kinds of content."),
        IMAGE,
        resource("test://mixed-content-resource", '{"test": "data"}', "application/json"),
    ],
}


def _answering(*content: types.ContentBlock, is_error: bool = False) -> Run:
    async def answer(_: Context, __: types.CallToolRequestParams) -> types.CallToolResult:
        return types.CallToolResult(content=list(content), is_error=is_error)

    return answer


TOOLS = [
    *(Tool(name, "Always the same content.", _answering(*held)) for name, held in CONTENTS.items()),
    Tool("test_error_handling", "Fails.", _answering(text("It failed."), is_error=True)),
]
