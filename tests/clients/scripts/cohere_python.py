"""A user of Cohere's client, of both versions, who knows nothing but the address."""

import asyncio
import sys
from collections.abc import Callable
from typing import Any

import cohere
from cohere.errors import BadRequestError, NotFoundError
from pictures import red_square
from report import check, main
from vectors import alike

ADDRESS = sys.argv[1]
client = cohere.ClientV2(api_key="none", base_url=ADDRESS)
first = cohere.Client(api_key="none", base_url=ADDRESS)
TEXTS = ["A unicorn has one horn.", "A horse has no horn."]


@check
def vectors_by_type() -> None:
    answer = client.embed(
        model="starter-embed",
        texts=TEXTS,
        input_type="search_document",
        embedding_types=["float", "base64"],
    )
    assert answer.id
    assert answer.response_type == "embeddings_by_type"
    assert answer.texts == TEXTS
    assert answer.embeddings.float_ is not None
    assert answer.embeddings.base64 is not None
    assert len(answer.embeddings.float_) == len(answer.embeddings.base64) == 2
    assert answer.meta is not None
    assert answer.meta.billed_units is not None
    assert (answer.meta.billed_units.input_tokens or 0) > 0


@check
def fewer_dimensions_for_a_query() -> None:
    answer = client.embed(
        model="starter-embed", texts=["a horn"], input_type="search_query", output_dimension=16
    )
    assert answer.embeddings.float_ is not None
    assert len(answer.embeddings.float_[0]) == 16


@check
def pictures() -> None:
    url = f"data:image/png;base64,{red_square()}"
    answer = client.embed(model="starter-clip", images=[url], input_type="image")
    mixed = client.embed(
        model="starter-clip",
        input_type="image",
        inputs=[
            {"content": [{"type": "image_url", "image_url": {"url": url}}]},  # type: ignore[list-item]
            {"content": [{"type": "text", "text": "red"}]},  # type: ignore[list-item]
        ],
    )
    assert answer.embeddings.float_ is not None
    assert mixed.embeddings.float_ is not None
    assert alike(mixed.embeddings.float_[0], answer.embeddings.float_[0])


@check
def documents_are_ranked() -> None:
    answer = client.rerank(
        model="starter-embed", query="a horse without a horn", documents=TEXTS, top_n=1
    )
    (best,) = answer.results
    assert best.index == 1
    assert 0 <= best.relevance_score <= 1
    assert answer.meta is not None
    assert answer.meta.api_version is not None
    assert answer.meta.api_version.version == "2"


@check
def the_async_client() -> None:
    async def ask() -> int:
        asking = cohere.AsyncClientV2(api_key="none", base_url=ADDRESS)
        answer = await asking.rerank(model="starter-embed", query="horn", documents=TEXTS)
        return len(answer.results)

    assert asyncio.run(ask()) == 2


@check
def the_first_version() -> None:
    answer = first.embed(model="starter-embed", texts=TEXTS, input_type="search_document")
    assert isinstance(answer.embeddings, list)
    assert len(answer.embeddings) == 2
    ranked = first.rerank(
        model="starter-embed", query="a horse", documents=TEXTS, return_documents=True
    )
    assert ranked.results[0].document is not None
    assert ranked.results[0].document.text == TEXTS[1]


def refused(kind: type[Exception], call: Callable[[], Any]) -> Any:
    """The body of the error that a call ends with."""
    try:
        call()
    except kind as error:
        return error.body  # type: ignore[attr-defined]
    raise AssertionError("it was taken")


@check
def errors_are_sentences() -> None:
    wrong = refused(
        BadRequestError,
        lambda: client.embed(
            model="starter-embed", texts=["a"], input_type="search_query", embedding_types=["int8"]
        ),
    )
    assert "embedding_types" in wrong["message"]
    unknown = refused(
        NotFoundError, lambda: client.rerank(model="none", query="a", documents=["b"])
    )
    assert "none" in unknown["message"]


if __name__ == "__main__":
    main()
