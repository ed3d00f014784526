"""A user of LangChain's OpenAIEmbeddings, who knows nothing but the address."""

import asyncio
import math
import sys
from typing import Any

import openai
import tiktoken.registry
from langchain_core.documents import Document
from langchain_core.vectorstores import InMemoryVectorStore
from langchain_openai import OpenAIEmbeddings
from report import check, main
from vectors import alike

TEXTS = ["A unicorn has one horn.", "A horse has no horn.", "The recipe needs two eggs."]


def embeddings(**options: Any) -> OpenAIEmbeddings:
    """The vectors as a user of LangChain asks for them."""
    given = {"model": "starter-embed", "check_embedding_ctx_length": False} | options
    return OpenAIEmbeddings(base_url=f"{sys.argv[1]}/v1", api_key="none", max_retries=0, **given)


def _bytes_as_tokens() -> dict[str, Any]:
    """An encoding that needs no download: what the ids mean is not what this is about."""
    ranks = {bytes([byte]): byte for byte in range(256)}
    return {
        "name": "cl100k_base",
        "pat_str": r"[\s\S]",
        "mergeable_ranks": ranks,
        "special_tokens": {},
    }


tiktoken.registry._find_constructors()
assert tiktoken.registry.ENCODING_CONSTRUCTORS is not None
tiktoken.registry.ENCODING_CONSTRUCTORS["cl100k_base"] = _bytes_as_tokens


@check
def documents_and_queries_without_the_length_check() -> None:
    asking = embeddings()
    vectors = asking.embed_documents(TEXTS)
    assert len(vectors) == len(TEXTS)
    assert all(math.isclose(math.hypot(*vector), 1, abs_tol=1e-5) for vector in vectors)
    assert alike(asking.embed_query(TEXTS[1]), vectors[1])
    assert alike(asyncio.run(asking.aembed_query(TEXTS[1])), vectors[1])


@check
def with_the_length_check_the_error_names_the_remedy() -> None:
    try:
        embeddings(check_embedding_ctx_length=True).embed_documents(TEXTS)
    except openai.BadRequestError as error:
        assert "check_embedding_ctx_length=False" in error.message
        assert error.param == "input"
    else:
        raise AssertionError("ids of another tokenizer were taken for the model's own")


@check
def ids_that_are_the_models_own_are_taken() -> None:
    own = {"extra_body": {"tokens": "model"}}
    asking = embeddings(check_embedding_ctx_length=True, model_kwargs=own)
    assert len(asking.embed_documents(["ab", "abc"])) == 2


@check
def fewer_dimensions() -> None:
    assert len(embeddings(dimensions=16).embed_query("a")) == 16


@check
def a_store_finds_the_nearest_text() -> None:
    store = InMemoryVectorStore(embeddings())
    store.add_documents([Document(text) for text in TEXTS])
    (found,) = store.similarity_search("Has a horse a horn?", k=1)
    assert found.page_content == TEXTS[1]


if __name__ == "__main__":
    main()
