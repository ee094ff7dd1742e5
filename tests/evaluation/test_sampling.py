"""How tokens are drawn, and how a text comes about piece by piece."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import chisquare

from tokenformer.evaluation.sampling import Sampling, choose_token, continue_text

LOGITS = torch.tensor([0.5, -1.0, 2.0, 1.0, 0.0])


def drawn(sampling: Sampling, times: int = 1) -> list[int]:
    generator = torch.Generator().manual_seed(sampling.seed)
    return [choose_token(LOGITS, sampling, generator) for _ in range(times)]


@pytest.mark.parametrize("temperature", [0.5, 1.0, 2.0])
def test_tokens_are_drawn_by_the_softmax_at_the_temperature(temperature):
    tokens = drawn(Sampling(temperature=temperature, seed=1), times=4000)
    expected = torch.softmax(LOGITS.double() / temperature, 0) * len(tokens)
    assert chisquare([tokens.count(token) for token in range(5)], expected.numpy()).pvalue > 1e-3


@pytest.mark.parametrize(
    ("top_p", "likeliest"), [(1e-9, {2}), (0.5, {2}), (0.75, {2, 3}), (0.85, {0, 2, 3}), (1, set(range(5)))]
)
def test_only_the_likeliest_are_drawn_that_reach_the_probability(top_p, likeliest):
    """The probabilities are 0.13, 0.03, 0.56, 0.21 and 0.08."""
    assert set(drawn(Sampling(temperature=1, top_p=top_p), times=1000)) == likeliest


def test_temperature_0_takes_the_first_of_the_most_probable():
    assert drawn(Sampling(temperature=0), times=3) == [2, 2, 2]


def spelled(tokens: list[int]) -> str:
    """Each token is a byte."""
    return bytes(tokens).decode(errors="replace")


def script(text: str, length: int = 300):
    """A model that writes the bytes of the text after the first token, and then 0."""
    content = [*text.encode(), 0]

    def next_logits(tokens: list[int]) -> torch.Tensor:
        return torch.nn.functional.one_hot(torch.tensor(content[len(tokens) - 1]), 256).float()

    return next_logits


@given(st.text(st.characters(exclude_characters="\0\N{REPLACEMENT CHARACTER}", codec="utf-8"), max_size=20))
def test_pieces_end_where_characters_do_and_make_the_whole_text(text):
    pieces = list(continue_text([1], script(text), spelled, Sampling(new_tokens=200), end_of_text=0))
    assert "".join(pieces) == text
    assert all(piece == piece.encode().decode() for piece in pieces) and len(pieces) <= len(text)


def test_a_text_ends_after_the_last_token_or_at_a_stop():
    def written(**options):
        sampling = Sampling(new_tokens=options.pop("new_tokens", 200))
        return "".join(continue_text([1], script("one two three"), spelled, sampling, end_of_text=0, **options))

    assert written() == "one two three"
    assert written(new_tokens=5) == "one t"
    assert written(until=["w"]) == "one tw"


def test_a_model_reads_no_more_than_its_context():
    lengths = []

    def next_logits(tokens):
        lengths.append(len(tokens))
        return LOGITS

    list(continue_text([1, 2], next_logits, spelled, Sampling(new_tokens=6), end_of_text=0, max_length=4))
    assert lengths == [2, 3, 4, 4, 4, 4]
