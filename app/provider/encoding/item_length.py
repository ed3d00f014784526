"""How long what is to be encoded is, as it is sent."""

from __future__ import annotations

from app.provider.types import ImagePart, PairPart, TextPart, TokensPart

Item = TextPart | TokensPart | PairPart | ImagePart
"""What a job of encoding consists of."""


def item_length(item: Item) -> int:
    """Letters of a text or a pair, about as many for tokens, and the bytes of an image."""
    match item:
        case TextPart(text=text):
            return len(text)
        case TokensPart(tokens=tokens):
            return 4 * len(tokens)
        case PairPart(query=query, document=document):
            return len(query) + len(document)
        case ImagePart(content=content):
            return len(content)
