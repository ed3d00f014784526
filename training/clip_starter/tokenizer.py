"""Trains the tokenizer: CLIP's own scheme, with a small vocabulary."""

import json
from random import Random

from tokenizers import Tokenizer, models, trainers
from tokenizers.pre_tokenizers import ByteLevel
from transformers import CLIPTokenizer

from training.clip_starter.captions import ALIKE, LOOKS, Wording
from training.vision_starter.drawing import COLOURS, MOST, SHAPES

VOCABULARY = 800
CONTEXT = 77  # tokens
START, END, WORD_END = "<|startoftext|>", "<|endoftext|>", "</w>"


def train_tokenizer(random: Random) -> CLIPTokenizer:
    """Learn the vocabulary from captions. The special tokens are the last ones, as in CLIP."""
    learner = CLIPTokenizer().backend_tokenizer
    bpe = Tokenizer(models.BPE(end_of_word_suffix=WORD_END))
    bpe.normalizer, bpe.pre_tokenizer = learner.normalizer, learner.pre_tokenizer
    letters = sorted(ByteLevel.alphabet())
    trainer = trainers.BpeTrainer(
        vocab_size=VOCABULARY - len(letters),
        end_of_word_suffix=WORD_END,
        initial_alphabet=letters,
        show_progress=False,
    )
    bpe.train_from_iterator(_texts(random), trainer)
    merges = _merges(bpe)
    tokens = [*letters, *(letter + WORD_END for letter in letters), *map("".join, merges)]
    names = [*dict.fromkeys(tokens), START, END]
    return CLIPTokenizer(
        vocab={name: at for at, name in enumerate(names)}, merges=merges, model_max_length=CONTEXT
    )


def _merges(bpe: Tokenizer) -> list[tuple[str, str]]:
    return [(left, right) for left, right in json.loads(bpe.to_str())["model"]["merges"]]


def _texts(random: Random) -> list[str]:
    texts = []
    for language in ("en", "ko"):
        words = Wording(language, random)
        for _ in range(12):
            texts += [words.alike(*one) for one in ALIKE]
            texts += [words.pair(*random.sample(LOOKS, 2)) for _ in range(100)]
            texts += [words.colour(colour) for colour in COLOURS] * 2
            texts += [words.shape(shape) for shape in SHAPES] * 2
            texts += [words.number(count) for count in range(MOST + 1)] * 2
    return texts
