"""Clients of the Local LLM Interface, with its names of routes, fields and answers.

What its page shows is asked with ``openai`` and ``requests``, and what its test program reads out
of the answers is read with ``httpx``. Only the address and the models are others.
"""

import asyncio
import base64
import io
import sys
from typing import Any

import httpx
import openai
import requests
from PIL import Image, ImageDraw
from report import check, main

BASE = f"{sys.argv[1]}/v1"
EMBEDDER, RERANKER, CLIP = "starter-embed", "starter-embed", "starter-clip"


def picture(colour: str) -> str:
    """A circle on white; a JPEG as base64."""
    sink, image = io.BytesIO(), Image.new("RGB", (128, 96), "white")
    ImageDraw.Draw(image).ellipse((32, 16, 96, 80), colour)
    image.save(sink, "JPEG")
    return base64.b64encode(sink.getvalue()).decode()


RED, BLUE = picture("red"), picture("blue")


def posted(path: str, body: dict[str, Any]) -> Any:
    """The answer to ``requests``."""
    answer = requests.post(f"{BASE}{path}", json=body, timeout=60)
    assert answer.status_code == 200, answer.text
    return answer.json()


def got(path: str) -> Any:
    """The answer to ``httpx``, which the test program uses."""

    async def ask() -> httpx.Response:
        async with httpx.AsyncClient(timeout=60) as client:
            return await client.get(f"{BASE}{path}")

    answer = asyncio.run(ask())
    assert answer.status_code == 200, answer.text
    return answer.json()


@check
def page_chat() -> None:
    client = openai.OpenAI(base_url=BASE, api_key="not-needed")
    answer = client.chat.completions.create(
        model="starter",
        messages=[{"role": "user", "content": "Hello!"}],
        temperature=0.7,
        max_tokens=16,
    )
    assert answer.choices[0].message.content


@check
def page_embeddings() -> None:
    client = openai.OpenAI(base_url=BASE, api_key="not-needed")
    answer = client.embeddings.create(model=EMBEDDER, input=["one", "two", "three"])
    assert len([each.embedding for each in answer.data]) == 3


@check
def page_rerank() -> None:
    documents = ["the sea", "apples that are green", "green grass"]
    body = {"model": RERANKER, "query": "green apples", "documents": documents, "top_k": 2}
    ranked = posted("/rerank", body)["results"]
    assert [each["index"] for each in ranked] == [1, 2]


@check
def page_vision() -> None:
    answer = posted("/vision/encode", {"model": CLIP, "images": [RED]})
    assert len(answer["embeddings"][0]) == answer["dimensions"]


@check
def page_multimodal() -> None:
    body = {"model": CLIP, "images": [RED], "texts": ["a red circle", "a blue circle"]}
    encoded = posted("/multimodal/encode", body)
    assert len(encoded["image_embeddings"]) == 1
    assert len(encoded["text_embeddings"]) == 2
    matrix = posted("/multimodal/match", body)["similarity_matrix"]
    assert matrix[0][0] > matrix[0][1]


@check
def page_similarity() -> None:
    answer = posted("/vision/similarity", {"model": CLIP, "image1": RED, "image2": BLUE})
    assert 0 <= answer["similarity"] < 0.9
    assert len(answer["image1_features"]) == len(answer["image2_features"])


@check
def program_health() -> None:
    answer = got("/health")
    assert answer["models"]["available"] >= answer["models"]["loaded"]
    assert answer["memory"]["gpu_memory_used_gb"] >= 0


def first_of(kind: str) -> str:
    """The model that the program takes: the first of a type in the list."""
    models = got("/models")["data"]
    assert all(each["engine"] and each["size_gb"] >= 0 for each in models)
    name: str = next(each["id"] for each in models if each["type"] == kind)
    return name


@check
def program_models_and_chat() -> None:
    body = {
        "model": first_of("chat"),
        "messages": [{"role": "user", "content": "Hello! Please respond with a greeting."}],
        "temperature": 0.7,
        "max_tokens": 100,
    }
    answer = posted("/chat/completions", body)
    assert answer["choices"][0]["message"]["content"]
    assert answer["usage"]


@check
def program_embeddings() -> None:
    body = {"model": first_of("embedding"), "input": ["Hello world", "Test embedding"]}
    answer = posted("/embeddings", body)
    assert len(answer["data"]) == 2
    assert len(answer["data"][0]["embedding"]) > 1


@check
def program_rerank() -> None:
    documents = ["AI is a branch of science", "Two eggs and flour", "Deep learning"]
    query = "artificial intelligence"
    body = {"model": first_of("reranker"), "query": query, "documents": documents, "top_k": 2}
    results = posted("/rerank", body)["results"]
    assert len(results) == 2
    for each in results:
        assert isinstance(each["score"], float)
        assert each["document"][:50] in documents


@check
def program_vision_models() -> None:
    for each in got("/vision/models")["data"]:
        assert each["type"] in {"vision", "multimodal"}
        assert [name for name, able in each["capabilities"].items() if able]


def encoder() -> str:
    """The model that the program takes for pictures."""
    name: str = got("/vision/models")["data"][0]["id"]
    return name


@check
def program_vision_encode() -> None:
    answer = posted("/vision/encode", {"model": encoder(), "images": [RED]})
    assert len(answer["embeddings"][0][:5]) == 5
    assert answer["dimensions"]


@check
def program_multimodal() -> None:
    texts = ["a red circle", "a blue circle", "two green stars"]
    body = {"model": encoder(), "images": [RED], "texts": texts}
    assert posted("/multimodal/encode", body).get("image_embeddings")
    answer = posted("/multimodal/match", body)
    assert answer["shape"] == [1, 3]
    similarities = answer["similarity_matrix"][0]
    assert similarities.index(max(similarities)) == 0


@check
def program_similarity() -> None:
    answer = posted("/vision/similarity", {"model": CLIP, "image1": RED, "image2": RED})
    assert answer["model"] == CLIP
    assert answer["similarity"] >= 0.999
    assert answer["feature_dimensions"] == len(answer["image1_features"])
    assert isinstance(answer["processing_time"], float)
    pairs = zip(answer["image1_features"], answer["image2_features"], strict=True)
    assert max(abs(one - other) for one, other in pairs) < 1e-6


if __name__ == "__main__":
    main()
