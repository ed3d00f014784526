"""What the files of an encoder's folder say about how its vectors are computed."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from app.provider.encoding.folders.image_settings import ImageSettings

EncoderKind = Literal["embedding", "rerank", "vision", "multimodal"]

PoolingMode = Literal["cls", "max", "mean", "mean_sqrt_len_tokens", "weightedmean", "lasttoken"]
"""How the vectors of tokens become one, in words of sentence-transformers."""

Activation = Literal["identity", "tanh", "relu", "gelu", "sigmoid", "silu"]


@dataclass(frozen=True, slots=True)
class PoolingRule:
    """The vectors of all ``modes``, one after the other.

    Without ``include_prompt`` the tokens of the prompt are left out.
    """

    modes: tuple[PoolingMode, ...]
    include_prompt: bool = True


@dataclass(frozen=True, slots=True)
class DenseSettings:
    """A layer that multiplies the pooled vector. ``weights`` is its file of safetensors."""

    weights: Path
    inputs: int
    outputs: int
    bias: bool = True
    activation: Activation = "identity"
    residual: bool = False


@dataclass(frozen=True, slots=True)
class TextSettings:
    """How texts become tokens.

    ``max_tokens`` of one input, with special tokens. ``lower_case``: texts are lowered first,
    whatever the tokenizer does. ``pad_to``: inputs are always padded to that length, on the side
    ``pad_left`` or right, and the padding is computed like text; 0 where padding has no effect.
    ``pad_token`` is the spelling of the token that stands for padding, ``pad_id`` its id where the
    tokenizer does not know the spelling. ``beginning`` and ``ending`` are spellings of tokens that
    stand around each text, whatever the tokenizer does ("": what it does).
    """

    max_tokens: int
    lower_case: bool = False
    pad_to: int = 0
    pad_left: bool = False
    pad_token: str = ""
    pad_id: int = 0
    beginning: str = ""
    ending: str = ""


@dataclass(frozen=True, slots=True)
class RerankPrompt:
    """The text around a pair for a reranker that is a language model.

    The tokens are those of ``prefix``, of ``pair`` with its three fields filled in, and of
    ``suffix``. The logit of the pair is that of the token ``yes`` after the last one, less that of
    ``no`` (ids; None: the tokens of the words). ``yes_only``: nothing is subtracted. ``has_head``:
    the model has a classification head, whose output is the logit.
    """

    prefix: str
    suffix: str
    instruction: str
    pair: str = "<Instruct>: {instruction}\n<Query>: {query}\n<Document>: {document}"
    yes: int | None = None
    no: int | None = None
    yes_only: bool = False
    has_head: bool = False


@dataclass(frozen=True, slots=True)
class MatchSettings:
    """How image and text vectors are compared.

    The probabilities are the ``softmax`` of an image's logits with all texts, or the ``sigmoid``
    of each. The vector of a text is at the first token ``end_token``; None: at that of the highest
    id.
    """

    probabilities: Literal["softmax", "sigmoid"]
    end_token: int | None = None


@dataclass(frozen=True, slots=True)
class EncoderSettings:
    """An encoder's folder, read.

    ``folder`` holds config.json and the tokenizer, which sentence-transformers may keep in a
    folder of their own below ``root``. ``model_type`` and ``architecture`` are those of
    config.json. A vector has ``dimensions`` numbers (1: a score). ``pooling`` is None where the
    model itself makes one vector. ``normalize``: the files ask for vectors of length 1.
    ``layer_norm_before_cut``: a vector that is to be cut gets a layer norm without weights first.
    ``prompts`` are texts to put before an input, by name. ``activation`` is what the files of a
    reranker name for its score. ``foreign_code``: the model's class is a Python file of its
    repository, so only an exported graph computes it.
    """

    root: Path
    folder: Path
    kind: EncoderKind
    model_type: str
    architecture: str
    dimensions: int
    text: TextSettings | None = None
    pooling: PoolingRule | None = None
    dense: tuple[DenseSettings, ...] = ()
    normalize: bool = True
    layer_norm_before_cut: bool = False
    prompts: tuple[tuple[str, str], ...] = ()
    default_prompt: str = ""
    activation: str = ""
    rerank_prompt: RerankPrompt | None = None
    image: ImageSettings | None = None
    match: MatchSettings | None = None
    foreign_code: bool = False

    @property
    def max_tokens(self) -> int:
        """Of one input; 0 for an encoder of images only."""
        return self.text.max_tokens if self.text else 0
