"""Conversation affinity: equal for the turns of a conversation, and nothing to an engine."""

from __future__ import annotations

from typing import Any

from msgspec import structs

from app.conversations.context_window import build_prompt
from app.conversations.store.truncation import WindowStart
from app.conversations.target import GenerationTarget
from app.provider.runtime.host import EngineHost
from app.provider.types import Sampling
from tests.provider.asking import collect, prompt

LONG = "Tell me everything that you know about the weather, please. " * 8


def target(owner: str, conversation: str, **more: Any) -> GenerationTarget:
    given: dict[str, Any] = {
        "pool": None,
        "model": None,
        "system": None,
        "question": "hello",
        "sampling": Sampling(),
        "template": None,
        "changed_defaults": {},
        "answer_tokens": 8,
        "max_messages": 8,
        "max_images": 0,
    }
    return GenerationTarget(owner=owner, conversation_id=conversation, **given | more)


def test_it_is_that_of_the_conversation_and_of_its_owner() -> None:
    one, again = target("owner", "conversation"), target("owner", "conversation", question="go on")
    others = [target("owner", "another"), target("another", "conversation"), target("", "")]
    assert build_prompt(one, [], WindowStart()).affinity == one.affinity == again.affinity
    assert len({each.affinity for each in (one, *others)}) == 4
    assert "owner" not in one.affinity
    assert "conversation" not in one.affinity


async def test_an_engine_does_not_look_at_it(gguf: EngineHost) -> None:
    asked = prompt(LONG, owner="me")
    first = await collect(gguf.stream(structs.replace(asked, affinity="one")))
    second = await collect(gguf.stream(structs.replace(asked, affinity="another")))
    assert second.text == first.text
    assert second.started.cached_tokens > 0
