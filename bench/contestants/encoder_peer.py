"""sentence-transformers, and transformers' class for pictures, behind bare FastAPI routes.

Runs in an environment of its own: ``python encoder_peer.py PORT THREADS FOLDER``, where the folder
holds the models by name. The routes are those that our server is asked at, with as little
around the libraries as a user would write.
"""

from __future__ import annotations

import base64
import io
import sys
from pathlib import Path
from typing import Any

import torch
import uvicorn
from fastapi import FastAPI
from PIL import Image
from sentence_transformers import CrossEncoder, SentenceTransformer
from transformers import AutoImageProcessor, AutoModel

app = FastAPI()
models: dict[str, Any] = {}


@app.get("/health")
def health() -> dict[str, str]:
    return {"status": "ok"}


@app.post("/v1/embeddings")
def embeddings(body: dict[str, Any]) -> dict[str, Any]:
    texts = body["input"] if isinstance(body["input"], list) else [body["input"]]
    vectors = models["minilm"].encode(texts, normalize_embeddings=True, show_progress_bar=False)
    return {
        "data": [
            {"index": index, "embedding": vector} for index, vector in enumerate(vectors.tolist())
        ]
    }


@app.post("/v1/rerank")
def rerank(body: dict[str, Any]) -> dict[str, Any]:
    pairs = [(body["query"], document) for document in body["documents"]]
    scores = models["minilm-reranker"].predict(pairs, show_progress_bar=False).tolist()
    best_first = sorted(enumerate(scores), key=lambda one: -one[1])
    return {"results": [{"index": index, "relevance_score": score} for index, score in best_first]}


@app.post("/v1/vision/encode")
def encode_images(body: dict[str, Any]) -> dict[str, Any]:
    files = (io.BytesIO(base64.b64decode(image)) for image in body["images"])
    pictures = [Image.open(file).convert("RGB") for file in files]
    inputs = models["processor"](pictures, return_tensors="pt")
    with torch.inference_mode():
        vectors = models["dinov2-small"](**inputs).pooler_output
    normalised = torch.nn.functional.normalize(vectors, dim=1)
    return {"embeddings": normalised.tolist(), "dimensions": normalised.shape[1]}


def main() -> None:
    port, threads, folder = int(sys.argv[1]), int(sys.argv[2]), Path(sys.argv[3])
    torch.set_num_threads(threads)
    models["minilm"] = SentenceTransformer(str(folder / "minilm"), device="cpu")
    models["minilm-reranker"] = CrossEncoder(str(folder / "minilm-reranker"), device="cpu")
    models["processor"] = AutoImageProcessor.from_pretrained(folder / "dinov2-small")
    models["dinov2-small"] = AutoModel.from_pretrained(folder / "dinov2-small").eval()
    uvicorn.run(app, host="127.0.0.1", port=port, log_level="warning")


if __name__ == "__main__":
    main()
