"""Greedy decoding through what a network answers anyway."""

from collections.abc import Sequence

from tokenformer.evaluation.runners.opened_model import OpenedModel


def greedy_continuation(model: OpenedModel, tokens: Sequence[int], new_tokens: int, until: Sequence[str]) -> str:
    """The text of the most probable next token, again and again, after `tokens`.

    It ends after `new_tokens`, at the token that ends a text, or when one of the strings `until` is there, which the
    text then still holds. The whole prefix is read again for each token.
    """
    sequence, start, text = list(tokens), len(tokens), ""
    for _ in range(new_tokens):
        following = model.network.next_token(sequence)
        if following == model.end_of_text:
            break
        sequence.append(following)
        text = model.decode(sequence[start:])
        if any(stop in text for stop in until):
            break
    return text
