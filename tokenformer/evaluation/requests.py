"""Requests to a language model: log-probabilities of continuations, as lm-eval encodes and truncates them."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from tokenformer.errors import UserError

Encode = Callable[[list[str]], list[list[int]]]


@dataclass(frozen=True)
class TextEncoder:
    """How text becomes tokens.

    Args:
        plain: token ids of each text, and nothing else.
        whole: token ids of each text with the special tokens that the tokenizer puts around it by itself.
        prefix_token: what a text without context follows: the tokenizer's beginning-of-text token, else its end.
    """

    plain: Encode
    whole: Encode
    prefix_token: int

    def beginning(self, text: str) -> list[int]:
        """Tokens of the first words of a text, after the prefix token."""
        tokens = self.plain([text])[0] if text else []
        return tokens if tokens[:1] == [self.prefix_token] else [self.prefix_token, *tokens]


@dataclass(frozen=True)
class Request:
    """Tokens of which the last `scored` are scored, each after all before it.

    `dropped` are tokens that were cut off at the left because the model takes no more.
    """

    tokens: tuple[int, ...]
    scored: int
    dropped: int = 0


def truncated_request(context: Sequence[int], continuation: Sequence[int], max_length: int | None) -> Request:
    """Context and continuation, cut at the left to what a model of `max_length` tokens reads.

    The last `max_length` tokens are scored at most, each after those before it that are left.

    Raises:
        UserError: one of the two is empty.
    """
    if not context or not continuation:
        raise UserError("a continuation of no tokens, or without a context, has no probability: the text is empty")
    tokens = (*context, *continuation)
    kept = tokens if max_length is None else tokens[-(max_length + 1) :]
    return Request(kept, min(len(continuation), len(kept) - 1), len(tokens) - len(kept))


def encoded_requests(
    texts: Sequence[tuple[str, str]], encoder: TextEncoder, max_length: int | None = None
) -> list[Request]:
    """Pairs of context and continuation as requests, by lm-eval's rules.

    Without a context a text follows the prefix token; a text that begins with that token already is scored after it.
    With one, both are encoded together, and spaces at the context's end belong to the continuation.

    Raises:
        UserError: a text is empty.
    """
    moved = [_with_spaces_moved(context, continuation) for context, continuation in texts]
    alone = [index for index, (context, _) in enumerate(moved) if not context]
    after = [index for index, (context, _) in enumerate(moved) if context]
    split: dict[int, tuple[list[int], list[int]]] = {}
    for index, ids in zip(alone, encoder.plain([moved[index][1] for index in alone]), strict=True):
        begins = ids[:1] == [encoder.prefix_token]
        split[index] = (ids[:1], ids[1:]) if begins else ([encoder.prefix_token], ids)
    wholes = encoder.whole([moved[index][0] + moved[index][1] for index in after])
    contexts = encoder.whole([moved[index][0] for index in after])
    for index, whole, context in zip(after, wholes, contexts, strict=True):
        split[index] = context, whole[len(context) :]
    requests = []
    for index, text in enumerate(texts):
        try:
            requests.append(truncated_request(*split[index], max_length))
        except UserError as error:
            raise UserError(f"{text[1][:80]!r} after {text[0][:80]!r} cannot be scored: {error}") from None
    return requests


def _with_spaces_moved(context: str, continuation: str) -> tuple[str, str]:
    kept = context.rstrip()
    return kept, context[len(kept) :] + continuation
