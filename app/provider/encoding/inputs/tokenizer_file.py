"""Opens ``tokenizer.json`` of an encoder as transformers would, with the settings beside it."""

from __future__ import annotations

from typing import Any

from tokenizers import Tokenizer
from tokenizers.normalizers import BertNormalizer, Lowercase
from tokenizers.normalizers import Sequence as Normalizers

from app.provider.encoding.folders.settings import EncoderSettings, TextSettings
from app.provider.errors import ModelNotLoadable
from app.provider.headers.fields import text
from app.provider.headers.files import optional_json

_GENERIC = ("PreTrainedTokenizerFast", "TokenizersBackend")
"""Classes of transformers that take the file as it is."""

_BERT_SETTINGS = {
    "do_lower_case": "lowercase",
    "strip_accents": "strip_accents",
    "tokenize_chinese_chars": "handle_chinese_chars",
}
"""Settings of BERT's tokenizers, which count more than the file → names in the file."""


def load_tokenizer(settings: EncoderSettings) -> Tokenizer:
    """The tokenizer of a folder, without padding and truncation; raises ModelNotLoadable."""
    try:
        tokenizer = Tokenizer.from_file(str(settings.folder / "tokenizer.json"))
    except Exception as error:  # the library raises plain Exception
        raise ModelNotLoadable(f"tokenizer.json cannot be read: {error}") from error
    tokenizer.no_truncation()
    tokenizer.no_padding()
    beside = optional_json(settings.folder / "tokenizer_config.json")
    if text(beside, "tokenizer_class") not in _GENERIC:
        _apply_bert_settings(tokenizer, beside)
    if settings.text:
        _lower(tokenizer, settings.text)
    return tokenizer


def _apply_bert_settings(tokenizer: Tokenizer, beside: dict[str, Any]) -> None:
    normalizer: Any = tokenizer.normalizer
    if not isinstance(normalizer, BertNormalizer):
        return
    for name, own_name in _BERT_SETTINGS.items():
        if isinstance(value := beside.get(name), bool):
            setattr(normalizer, own_name, value)
    tokenizer.normalizer = normalizer


def _lower(tokenizer: Tokenizer, texts: TextSettings) -> None:
    """Lower all texts first, where the model wants that."""
    inner: Any = tokenizer.normalizer
    if texts.lower_case:
        tokenizer.normalizer = Normalizers([Lowercase(), inner]) if inner else Lowercase()


def missing_frame(tokenizer: Tokenizer, texts: TextSettings) -> tuple[list[int], list[int]]:
    """The tokens before and after a text that its model wants and the tokenizer does not add."""
    framed = tokenizer.encode("a").ids or [-1]
    first, last = (tokenizer.token_to_id(one) for one in (texts.beginning, texts.ending))
    return (
        [] if first in (None, framed[0]) else [first],
        [] if last in (None, framed[-1]) else [last],
    )
