"""Trains the byte-level BPE tokenizer, with the word pattern that llama.cpp calls `qwen2`."""

from random import Random

from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import PreTrainedTokenizerFast

from scripts.starter.conversations import CHAT_TEMPLATE, END_OF_TEXT, IM_END, SPECIAL_TOKENS
from scripts.starter.corpus import entries
from scripts.starter.questions import ask

VOCABULARY = 3072
CONTEXT = 4096  # tokens
WORDS = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*"
    r"|\s*[\r\n]+|\s+(?!\S)|\s+"
)


def train_tokenizer(random: Random) -> PreTrainedTokenizerFast:
    """Learn the vocabulary from the corpus; every byte stays encodable, so any text is."""
    bpe = Tokenizer(models.BPE())
    bpe.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(WORDS), behavior="isolated"),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    bpe.decoder = decoders.ByteLevel()
    bpe.train_from_iterator(_texts(random), _trainer())
    return PreTrainedTokenizerFast(
        tokenizer_object=bpe,
        eos_token=IM_END,
        pad_token=END_OF_TEXT,
        chat_template=CHAT_TEMPLATE,
        model_max_length=CONTEXT,
        clean_up_tokenization_spaces=False,
    )


def _trainer() -> trainers.BpeTrainer:
    return trainers.BpeTrainer(
        vocab_size=VOCABULARY,
        special_tokens=list(SPECIAL_TOKENS),
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )


def _texts(random: Random) -> list[str]:
    """Return every answer as often as a dozen of its questions."""
    return [
        text
        for entry in entries()
        for text in [*(ask(entry, random) for _ in range(12)), *[entry.answer] * 12]
    ]
