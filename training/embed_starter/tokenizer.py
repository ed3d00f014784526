"""Trains the tokenizer: byte-level BPE between [CLS] and [SEP].

Not WordPiece, as most BERT models have: llama.cpp reduces every Hangul syllable to its first
letter before it looks into a WordPiece vocabulary.
"""

from random import Random

from tokenizers.normalizers import NFC
from tokenizers.processors import TemplateProcessing
from transformers import PreTrainedTokenizerFast

from training import bpe
from training.embed_starter.shape import CLS, CONTEXT, PAD, SEP, SPECIAL_TOKENS
from training.embed_starter.texts import paragraphs, question, topics

VOCABULARY = 3840


def train_tokenizer(random: Random) -> PreTrainedTokenizerFast:
    """Learn the vocabulary from questions, answers and the documentation."""
    learned = bpe.trained(_texts(random), VOCABULARY, SPECIAL_TOKENS, NFC())
    learned.post_processor = TemplateProcessing(
        single=f"{CLS} $A {SEP}",
        pair=f"{CLS} $A {SEP} $B:1 {SEP}:1",
        special_tokens=[(token, SPECIAL_TOKENS.index(token)) for token in (CLS, SEP)],
    )
    return PreTrainedTokenizerFast(
        tokenizer_object=learned,
        pad_token=PAD,
        cls_token=CLS,
        sep_token=SEP,
        model_max_length=CONTEXT,
        clean_up_tokenization_spaces=False,
    )


def _texts(random: Random) -> list[str]:
    texts = list(paragraphs())
    for topic in topics():
        for entry in (topic.english, topic.korean):
            texts += [entry.answer] * 3 + [question(entry, random) for _ in range(40)]
    return texts
