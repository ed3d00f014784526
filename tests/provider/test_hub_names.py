from __future__ import annotations

import pytest

from app.provider.hub.errors import NotOnHub
from app.provider.hub.names import ModelReference, parse
from app.provider.hub.recommended import RECOMMENDED


@pytest.mark.parametrize(
    ("name", "wanted"),
    [
        ("phi-2", ModelReference("huggingface", "TheBloke/phi-2-GGUF", "phi-2.Q4_K_M.gguf")),
        ("someone/some:q8_0", ModelReference("huggingface", "someone/some", "q8_0")),
        ("someone/some", ModelReference("huggingface", "someone/some", "")),
        ("someone/some:.", ModelReference("huggingface", "someone/some", ".")),
        (
            "modelscope:some.one/so_me:a/b.gguf",
            ModelReference("modelscope", "some.one/so_me", "a/b.gguf"),
        ),
    ],
)
def test_names(name: str, wanted: ModelReference) -> None:
    assert parse(name, "huggingface") == wanted


@pytest.mark.parametrize(
    "name",
    [
        "",
        "../../etc/passwd",
        "a/b/c",
        "/absolute/path",
        "http://127.0.0.1/a/b",
        "https://evil.example/a",
        "evil.example:80/a/b",
        "a/..",
        "a/b..c",
        "a/b:../c.gguf",
        "a/b:/c.gguf",
        "a/b:c//d.gguf",
        "a/b:.hidden/c.gguf",
        "a/b:c\\d.gguf",
        "a/b:c\nd.gguf",
        "a/b?x=y",
        "a/b#c",
        "a/b%2f..",
        "otherhub:a/b",
        "a/b:" + 500 * "c",
    ],
)
def test_what_is_no_name(name: str) -> None:
    with pytest.raises(ValueError, match="must be a recommended name"):
        parse(name, "huggingface")


def test_unknown_recommendation() -> None:
    with pytest.raises(NotOnHub, match="no recommended model 'no-such-name'"):
        parse("no-such-name", "huggingface")


def test_recommended_names_are_names() -> None:
    assert len({model.name for model in RECOMMENDED}) == len(RECOMMENDED)
    assert all(parse(model.name, "modelscope").path == model.file for model in RECOMMENDED)
