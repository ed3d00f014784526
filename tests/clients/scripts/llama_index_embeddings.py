"""A user of LlamaIndex, with its clients of OpenAI's and of Jina's API; knows only the address."""

import asyncio
import math
import sys
from typing import Any

from llama_index.core import VectorStoreIndex
from llama_index.core.schema import Document, NodeWithScore, QueryBundle, TextNode
from llama_index.embeddings.jinaai import JinaEmbedding
from llama_index.embeddings.openai_like import OpenAILikeEmbedding
from llama_index.postprocessor.jinaai_rerank import JinaRerank
from report import check, main
from vectors import alike

BASE = f"{sys.argv[1]}/v1"
TEXTS = ["A unicorn has one horn.", "A horse has no horn.", "The recipe needs two eggs."]


def openai_like(**options: Any) -> OpenAILikeEmbedding:
    """Vectors through OpenAI's API."""
    given: dict[str, Any] = {"model_name": "starter-embed", "max_retries": 0} | options
    return OpenAILikeEmbedding(api_base=BASE, api_key="none", **given)


@check
def texts_and_queries() -> None:
    asking = openai_like()
    vectors = asking.get_text_embedding_batch(TEXTS)
    assert len(vectors) == len(TEXTS)
    assert all(math.isclose(math.hypot(*vector), 1, abs_tol=1e-5) for vector in vectors)
    assert alike(asking.get_query_embedding(TEXTS[0]), vectors[0])
    assert alike(asyncio.run(asking.aget_text_embedding(TEXTS[0])), vectors[0])
    assert len(openai_like(dimensions=16).get_text_embedding("a")) == 16


@check
def an_index_finds_the_nearest_text() -> None:
    documents = [Document(text=text) for text in TEXTS]
    index = VectorStoreIndex.from_documents(documents, embed_model=openai_like())
    (found,) = index.as_retriever(similarity_top_k=1).retrieve("Has a horse a horn?")
    assert found.node.get_content() == TEXTS[1]


def jina(**options: Any) -> JinaEmbedding:
    """Vectors through Jina's API, of a model with prompts."""
    asking = JinaEmbedding(api_key="none", model="echo-embed", **options)
    asking._api.api_url = f"{BASE}/embeddings"  # it has no setting for it
    return asking


@check
def jinas_tasks_become_prompts() -> None:
    asking = jina(task="retrieval.query")
    (found,) = asking.get_text_embedding_batch(["a horse"])
    assert found == jina().get_text_embedding("query: a horse")
    assert asyncio.run(asking.aget_text_embedding("a horse")) == found


@check
def jinas_reranker() -> None:
    nodes = [NodeWithScore(node=TextNode(text=text)) for text in TEXTS]
    reranker = JinaRerank(api_key="none", base_url=BASE, model="starter-embed", top_n=2)
    found = reranker.postprocess_nodes(nodes, QueryBundle("a horse with no horn"))
    assert [each.node.get_content() for each in found] == [TEXTS[1], TEXTS[0]]
    assert all(each.score is not None and 0 <= each.score <= 1 for each in found)


if __name__ == "__main__":
    main()
