"""Trains the tokenizers of the tiny encoders, each built as those of its family are.

Run by hand: ``python -m tests.encoders.tokenizer_training``. It needs ``tokenizers`` and
``sentencepiece``, and writes ``tests/encoders/tokenizers``. References must then be made anew.
"""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import sentencepiece
from tokenizers import (
    Regex,
    Tokenizer,
    decoders,
    models,
    normalizers,
    pre_tokenizers,
    processors,
    trainers,
)

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
CORPUS = (ROOT / "README.md", ROOT / "README.ko.md", ROOT / "CONTRIBUTING.md")
SIZE = 600
PUNCTUATION = "[!\"#$%&'()*+,\\-./:;<=>?@\\[\\\\\\]^_`{|}~]"
QWEN_SPLIT = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}"
    r"| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)
CLIP_SPLIT = (
    r"<\|startoftext\|>|<\|endoftext\|>|'s|'t|'re|'ve|'m|'ll|'d|[\p{L}]+|[\p{N}]|[^\s\p{L}\p{N}]+"
)
QWEN_SPECIAL = ["<|endoftext|>", "<|im_start|>", "<|im_end|>", "<think>", "</think>"]


def lines() -> list[str]:
    return [line for path in CORPUS for line in path.read_text().splitlines() if line.strip()]


def wordpiece() -> Tokenizer:
    tokenizer = Tokenizer(models.WordPiece(unk_token="[UNK]"))
    tokenizer.normalizer = normalizers.BertNormalizer(lowercase=True)
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.decoder = decoders.WordPiece()
    special = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
    trainer = trainers.WordPieceTrainer(
        vocab_size=2 * SIZE, special_tokens=special, show_progress=False
    )
    tokenizer.train_from_iterator(lines(), trainer)
    tokenizer.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]",
        pair="[CLS] $A [SEP] $B:1 [SEP]:1",
        special_tokens=[("[CLS]", 2), ("[SEP]", 3)],
    )
    return tokenizer


def byte_level(special: list[str], **trained: Any) -> Tokenizer:
    tokenizer = Tokenizer(models.BPE())
    tokenizer.normalizer = normalizers.NFC()
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(QWEN_SPLIT), "isolated"),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    tokenizer.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(
        vocab_size=SIZE, initial_alphabet=alphabet, show_progress=False, **trained
    )
    tokenizer.train_from_iterator([*lines(), *["yes", "no"] * 500], trainer)
    tokenizer.add_special_tokens(special)
    return tokenizer


def qwen(*, ends: bool) -> Tokenizer:
    """With <|endoftext|> after every text for embeddings, without for the reranker."""
    tokenizer = byte_level(QWEN_SPECIAL)
    end = tokenizer.token_to_id(QWEN_SPECIAL[0])
    steps: list[Any] = [processors.ByteLevel(trim_offsets=False)]
    if ends:
        template = {"single": "$A <|endoftext|>", "pair": "$A <|endoftext|> $B <|endoftext|>"}
        special = [(QWEN_SPECIAL[0], end)]
        steps.append(processors.TemplateProcessing(**template, special_tokens=special))
    tokenizer.post_processor = processors.Sequence(steps)
    return tokenizer


def modernbert() -> Tokenizer:
    tokenizer = byte_level([], special_tokens=["[UNK]", "[CLS]", "[SEP]", "[PAD]", "[MASK]"])
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]",
        pair="[CLS] $A [SEP] $B [SEP]",
        special_tokens=[("[CLS]", 1), ("[SEP]", 2)],
    )
    return tokenizer


def clip() -> Tokenizer:
    """Bytes, bytes that end a word, merges, and the two special tokens last, as OpenAI's has."""
    tokenizer = Tokenizer(models.BPE(end_of_word_suffix="</w>"))
    tokenizer.normalizer = normalizers.Sequence(
        [normalizers.NFC(), normalizers.Replace(Regex(r"\s+"), " "), normalizers.Lowercase()]
    )
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(CLIP_SPLIT), "removed", invert=True),
            pre_tokenizers.ByteLevel(add_prefix_space=False),
        ]
    )
    tokenizer.decoder = decoders.ByteLevel()
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    trainer = trainers.BpeTrainer(
        vocab_size=SIZE,
        initial_alphabet=alphabet,
        end_of_word_suffix="</w>",
        show_progress=False,
    )
    tokenizer.train_from_iterator(lines(), trainer)
    return _clip_vocabulary(tokenizer, alphabet)


def _clip_vocabulary(tokenizer: Tokenizer, alphabet: list[str]) -> Tokenizer:
    content = json.loads(tokenizer.to_str())
    merges = content["model"]["merges"]
    pieces = [*alphabet, *(one + "</w>" for one in alphabet), *("".join(two) for two in merges)]
    pieces += ["<|startoftext|>", "<|endoftext|>"]
    content["model"] |= {
        "vocab": {piece: number for number, piece in enumerate(dict.fromkeys(pieces))},
        "unk_token": "<|endoftext|>",
        "continuing_subword_prefix": "",
    }
    found = Tokenizer.from_str(json.dumps(content))
    found.add_special_tokens(["<|startoftext|>", "<|endoftext|>"])
    vocabulary = found.get_vocab()
    start, end = ((piece, vocabulary[piece]) for piece in ("<|startoftext|>", "<|endoftext|>"))
    found.post_processor = processors.RobertaProcessing(end, start, trim_offsets=False)
    return found


def gemma(*, lowercase: bool) -> Tokenizer:
    """With <bos> and <eos> for EmbeddingGemma, lower case and <eos> for SigLIP2."""
    tokenizer = Tokenizer(models.BPE(unk_token="<unk>", byte_fallback=True, fuse_unk=True))
    spaces = normalizers.Replace(" ", "▁")
    tokenizer.normalizer = spaces
    tokenizer.pre_tokenizer = pre_tokenizers.Split(" ", "merged_with_previous")
    tokenizer.decoder = decoders.Sequence(
        [decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse()]
    )
    special = ["<pad>", "<eos>", "<bos>", "<unk>", "<mask>"]
    trainer = trainers.BpeTrainer(
        vocab_size=2 * SIZE,
        special_tokens=[*special, *(f"<0x{byte:02X}>" for byte in range(256))],
        limit_alphabet=200,
        max_token_length=8,
        show_progress=False,
    )
    words = [word for line in lines() for word in line.replace(" ", " ▁").split(" ")]
    tokenizer.train_from_iterator(words, trainer)
    tokenizer = _without_special_bytes(tokenizer, special)
    if lowercase:
        tokenizer.normalizer = normalizers.Sequence([normalizers.Lowercase(), spaces])
    begin = "" if lowercase else "<bos> "
    tokenizer.post_processor = processors.TemplateProcessing(
        single=f"{begin}$A <eos>",
        pair=f"{begin}$A <eos> {begin}$B <eos>",
        special_tokens=[("<bos>", 2), ("<eos>", 1)],
    )
    return tokenizer


def _without_special_bytes(tokenizer: Tokenizer, special: list[str]) -> Tokenizer:
    """Bytes are pieces of the model, but no special tokens."""
    content = json.loads(tokenizer.to_str())
    content["added_tokens"] = [one for one in content["added_tokens"] if one["content"] in special]
    return Tokenizer.from_str(json.dumps(content))


def sentencepiece_pieces(lowercase: bool, **special: Any) -> tuple[bytes, list[tuple[str, float]]]:
    """A model file of sentencepiece, and its pieces with their scores."""
    found = io.BytesIO()
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter([line.lower() if lowercase else line for line in lines()]),
        model_writer=found,
        model_type="unigram",
        vocab_size=SIZE,
        hard_vocab_limit=False,
        character_coverage=0.98,
        normalization_rule_name="identity",  # that of T5 takes 240 KB
        num_threads=1,
        minloglevel=2,
        **special,
    )
    processor = sentencepiece.SentencePieceProcessor(model_proto=found.getvalue())
    count = processor.get_piece_size()
    pieces = [(processor.id_to_piece(one), processor.get_score(one)) for one in range(count)]
    return found.getvalue(), pieces


def xlm_roberta() -> Tokenizer:
    _, pieces = sentencepiece_pieces(False, bos_id=-1, eos_id=-1, unk_id=0, pad_id=-1)
    special = ["<s>", "<pad>", "</s>", "<unk>"]
    vocabulary = [*((one, 0.0) for one in special), *pieces[1:], ("<mask>", 0.0)]
    tokenizer = Tokenizer(models.Unigram(vocabulary, unk_id=3))
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.WhitespaceSplit(),
            pre_tokenizers.Metaspace("▁", prepend_scheme="always"),
        ]
    )
    tokenizer.decoder = decoders.Metaspace("▁", prepend_scheme="always")
    tokenizer.add_special_tokens([*special, "<mask>"])
    tokenizer.post_processor = processors.TemplateProcessing(
        single="<s> $A </s>",
        pair="<s> $A </s> </s> $B </s>",
        special_tokens=[("<s>", 0), ("</s>", 2)],
    )
    return tokenizer


def siglip() -> Tokenizer:
    """Lower case without punctuation; the token that ends a text is also the padding."""
    model, pieces = sentencepiece_pieces(True, pad_id=0, eos_id=1, unk_id=2, bos_id=-1)
    (HERE / "tokenizers" / "siglip.spiece.model").write_bytes(model)
    tokenizer = Tokenizer(models.Unigram(pieces, unk_id=2))
    tokenizer.normalizer = normalizers.Sequence(
        [
            normalizers.Lowercase(),
            normalizers.Replace(Regex(PUNCTUATION), ""),
            normalizers.Replace(Regex(r"\s+"), " "),
            normalizers.Strip(),
        ]
    )
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace("▁", prepend_scheme="always")
    tokenizer.decoder = decoders.Metaspace("▁", prepend_scheme="always")
    tokenizer.add_special_tokens(["</s>", "<unk>"])
    tokenizer.post_processor = processors.TemplateProcessing(
        single="$A </s>", pair="$A </s> $B </s>", special_tokens=[("</s>", 1)]
    )
    return tokenizer


def main() -> None:
    tokenizers = {
        "bert": wordpiece(),
        "xlm-roberta": xlm_roberta(),
        "modernbert": modernbert(),
        "qwen3": qwen(ends=False),
        "qwen3-embedding": qwen(ends=True),
        "gemma": gemma(lowercase=False),
        "clip": clip(),
        "siglip": siglip(),
        "siglip2": gemma(lowercase=True),
    }
    for name, tokenizer in tokenizers.items():
        content = json.dumps(json.loads(tokenizer.to_str()), ensure_ascii=False)
        (HERE / "tokenizers" / f"{name}.json").write_text(content + "\n")


if __name__ == "__main__":
    main()
