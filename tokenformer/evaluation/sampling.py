"""Continues a text token by token, by the most probable one or by one drawn at random."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import torch

UNFINISHED = "\N{REPLACEMENT CHARACTER}"
"""Stands at the end of a decoded text whose last token ends within a character."""


@dataclass(frozen=True)
class Sampling:
    """How tokens are chosen.

    Args:
        new_tokens: how many at most.
        temperature: the logits are divided by it; 0 takes the most probable token.
        top_p: tokens are drawn from the likeliest that together have this probability (Holtzman et al. 2020,
            arXiv:1904.09751); 1 is all.
        seed: the same one gives the same text.
    """

    new_tokens: int = 100
    temperature: float = 0.0
    top_p: float = 1.0
    seed: int = 0


def choose_token(logits: torch.Tensor, sampling: Sampling, generator: torch.Generator) -> int:
    """A token by the logits float [vocabulary] of all; the first of equals at temperature 0."""
    if sampling.temperature == 0:
        return int(logits.argmax())
    probabilities = torch.softmax(logits.double().cpu() / sampling.temperature, dim=-1)
    ordered, tokens = probabilities.sort(descending=True, stable=True)
    before = ordered.cumsum(0) - ordered
    nucleus = ordered * (before < sampling.top_p)  # the likeliest one is always in it
    return int(tokens[torch.multinomial(nucleus, 1, generator=generator)])


def continue_text(
    prompt: Sequence[int],
    next_logits: Callable[[list[int]], torch.Tensor],
    decode: Callable[[list[int]], str],
    sampling: Sampling,
    end_of_text: int,
    max_length: int | None = None,
    until: Sequence[str] = (),
) -> Iterator[str]:
    """The continuation, piece by piece as it comes about; a piece ends where a character does.

    It ends after `sampling.new_tokens`, at the token that ends a text, or when one of the strings `until` is there,
    which the text then still holds. The model reads everything again for each token.

    Args:
        prompt: tokens, one at least.
        next_logits: tokens -> logits float [vocabulary] of the one after them.
        max_length: tokens that the model reads; earlier ones are left out.
    """
    generator = torch.Generator().manual_seed(sampling.seed)
    tokens, start, shown = list(prompt), len(prompt), ""
    for _ in range(sampling.new_tokens):
        chosen = choose_token(next_logits(tokens if max_length is None else tokens[-max_length:]), sampling, generator)
        if chosen == end_of_text:
            break
        tokens.append(chosen)
        text = decode(tokens[start:])
        if not text.endswith(UNFINISHED):
            yield text[len(shown) :]
            shown = text
        if any(stop in text for stop in until):
            break
    rest = decode(tokens[start:])[len(shown) :]
    if rest:
        yield rest
