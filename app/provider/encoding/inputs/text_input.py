"""Tokenises texts and pairs of texts for an encoder, with ``tokenizer.json`` alone."""

from __future__ import annotations

from tokenizers import Encoding

from app.provider.encoding.folders.settings import EncoderSettings, RerankPrompt
from app.provider.encoding.inputs.rerank_input import RerankInput
from app.provider.encoding.inputs.tokenizer_file import load_tokenizer, missing_frame
from app.provider.encoding.inputs.truncation import longest_first
from app.provider.encoding.runner import EncoderItem
from app.provider.errors import InputTooLong, ModelNotLoadable, UnsupportedInput
from app.provider.headers.fields import unicode
from app.provider.types import ImagePart, PairPart, TextPart, TokensPart


class TextInput:
    """The tokenizer of an encoder. ``prepare`` may be called from several threads.

    ``pad_token`` is the id that fills up the shorter rows of a batch. ``answers`` are the tokens
    of a reranker's yes and no, as far as its logit is made of them. Raises ModelNotLoadable for
    a folder without a tokenizer that can be read.
    """

    def __init__(self, settings: EncoderSettings) -> None:
        if settings.text is None:
            raise ModelNotLoadable("The model takes images only.")
        self._settings = settings
        self._text = settings.text
        self._tokenizer = load_tokenizer(settings)
        self._before, self._after = missing_frame(self._tokenizer, self._text)
        self._single = self._tokenizer.num_special_tokens_to_add(False)
        self._single += len(self._before) + len(self._after)
        self._pair = self._tokenizer.num_special_tokens_to_add(True)
        pad_token = self._tokenizer.token_to_id(self._text.pad_token)
        self.pad_token = self._text.pad_id if pad_token is None else pad_token
        self._vocabulary = self._tokenizer.get_vocab_size(with_added_tokens=True)
        prompt = settings.rerank_prompt
        limit = self._text.max_tokens
        self.answers = self._answers(prompt)
        self._rerank = RerankInput(prompt, self._ids, limit) if prompt else None
        # From here on, a document cannot spell the tokens that end the reranker's question.
        self._tokenizer.encode_special_tokens = prompt is not None

    def prepare(
        self,
        part: TextPart | TokensPart | PairPart | ImagePart,
        *,
        index: int,
        prompt: str,
        truncate: bool,
    ) -> EncoderItem:
        """Tokenise one item; see ``EncoderRunner.prepare``."""
        reranks = self._settings.kind == "rerank"
        match part:
            case TextPart(text) if not reranks:
                return self._of_text(text, index, prompt, truncate)
            case TokensPart(tokens) if not reranks:
                return self._of_tokens(tokens, index, prompt, truncate)
            case PairPart(query, document) if reranks and self._rerank:
                return self._rerank.prepare(
                    query, document, index=index, instruction=prompt, truncate=truncate
                )
            case PairPart(query, document) if reranks:
                return self._of_pair(prompt + query, document, index, truncate)
        raise UnsupportedInput(_expects(self._settings))

    def _answers(self, prompt: RerankPrompt | None) -> tuple[int, ...]:
        if prompt is None or prompt.has_head:
            return ()
        yes = self._word("yes") if prompt.yes is None else prompt.yes
        if prompt.yes_only:
            return (yes,)
        return yes, self._word("no") if prompt.no is None else prompt.no

    def _word(self, word: str) -> int:
        token = self._tokenizer.token_to_id(word)
        if token is None:
            raise ModelNotLoadable(f"Its tokenizer has no token for the answer {word!r}.")
        return token

    def _of_text(self, text: str, index: int, prompt: str, truncate: bool) -> EncoderItem:
        encoding = self._encoded(prompt + text)
        room = self._room(len(encoding.ids), self._single, index, truncate)
        truncated = len(encoding.ids) > room
        if truncated:
            encoding.truncate(room)
        whole = self._tokenizer.post_process(encoding, None, True)
        tokens = (*self._before, *whole.ids, *self._after)
        return self._item(tokens, (), self._prompt_tokens(prompt), truncated)

    def _of_tokens(
        self, tokens: tuple[int, ...], index: int, prompt: str, truncate: bool
    ) -> EncoderItem:
        """Tokens of the model, which get neither a prompt's text nor special tokens."""
        if not all(map(self._is_known, tokens)):
            raise UnsupportedInput(
                f"The input at index {index} has a token that the model does not have: it has "
                f"{self._vocabulary} tokens."
            )
        ids = (*self._ids(prompt), *tokens) if prompt else tokens
        room = self._room(len(ids), 0, index, truncate)
        kept = self._padded(ids[:room])
        return EncoderItem(tokens=kept, truncated=len(ids) > room, cost=len(kept))

    def _is_known(self, token: int) -> bool:
        return 0 <= token < 2**31 and self._tokenizer.id_to_token(token) is not None

    def _of_pair(self, query: str, document: str, index: int, truncate: bool) -> EncoderItem:
        first, second = self._encoded(query), self._encoded(document)
        lengths = len(first.ids), len(second.ids)
        room = self._room(sum(lengths), self._pair, index, truncate)
        kept = longest_first(*lengths, room)
        first.truncate(kept[0])
        second.truncate(kept[1])
        whole = self._tokenizer.post_process(first, second, True)
        return self._item(tuple(whole.ids), tuple(whole.type_ids), 0, kept != lengths)

    def _room(self, needed: int, special: int, index: int, truncate: bool) -> int:
        """Tokens of the text that fit; raises InputTooLong if the text must not be cut."""
        limit = self._text.max_tokens
        if needed + special > limit and not truncate:
            raise InputTooLong(index, needed + special, limit)
        return max(0, limit - special)

    def _item(
        self, ids: tuple[int, ...], types: tuple[int, ...], prompt_tokens: int, truncated: bool
    ) -> EncoderItem:
        tokens = self._padded(ids)
        return EncoderItem(
            tokens=tokens,
            token_types=types if any(types) else (),
            prompt_tokens=prompt_tokens,
            truncated=truncated,
            cost=len(tokens),
        )

    def _padded(self, tokens: tuple[int, ...]) -> tuple[int, ...]:
        padding = (self.pad_token,) * max(0, self._text.pad_to - len(tokens))
        return (*padding, *tokens) if self._text.pad_left else (*tokens, *padding)

    def _prompt_tokens(self, prompt: str) -> int:
        """Tokens of the prompt with what precedes it, as sentence-transformers counts them."""
        pooling = self._settings.pooling
        if not prompt or pooling is None or pooling.include_prompt:
            return 0
        whole = self._tokenizer.post_process(self._encoded(prompt), None, True)
        added = len(self._before) + len(self._after)
        ends = self._after or whole.special_tokens_mask[-1:] == [1]
        return len(whole.ids) + added - bool(ends)

    def _ids(self, text: str) -> tuple[int, ...]:
        return tuple(self._encoded(text).ids)

    def _encoded(self, text: str) -> Encoding:
        """The tokens of a text, without special tokens around it."""
        return self._tokenizer.encode(unicode(text), add_special_tokens=False)


def _expects(settings: EncoderSettings) -> str:
    takes = {
        "rerank": "pairs of a query and a document",
        "multimodal": "texts and images",
        "vision": "images",
        "embedding": "texts",
    }
    return f"This model takes {takes[settings.kind]}."
