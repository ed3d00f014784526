"""Byte-level BPE as the starter models have it: every byte stays encodable, so any text is."""

from collections.abc import Iterable, Sequence

from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers, trainers
from tokenizers.normalizers import Normalizer
from transformers import PreTrainedTokenizerFast

WORDS = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*"
    r"|\s*[\r\n]+|\s+(?!\S)|\s+"
)
"""The word pattern that llama.cpp calls `qwen2`."""


def trained(
    texts: Iterable[str],
    vocabulary: int,
    special: Sequence[str],
    normalizer: Normalizer | None = None,
) -> Tokenizer:
    """Learn a vocabulary of that size from texts."""
    bpe = Tokenizer(models.BPE())
    if normalizer:
        bpe.normalizer = normalizer
    bpe.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(WORDS), behavior="isolated"),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    bpe.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=vocabulary,
        special_tokens=list(special),
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    bpe.train_from_iterator(texts, trainer)
    return bpe


def for_chat(
    bpe: Tokenizer, *, end: str, pad: str, template: str, context: int
) -> PreTrainedTokenizerFast:
    """Put the tokens of a conversation and its template to a tokenizer."""
    return PreTrainedTokenizerFast(
        tokenizer_object=bpe,
        eos_token=end,
        pad_token=pad,
        chat_template=template,
        model_max_length=context,
        clean_up_tokenization_spaces=False,
    )
