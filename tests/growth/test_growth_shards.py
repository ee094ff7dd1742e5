"""The shards that several ranks grow are together what one rank grows."""

import pytest
import torch

from tokenformer.growth.append_tokens import AppendTokens
from tokenformer.growth.operator import GrowthContext
from tokenformer.model.config import TokenformerConfig

NAME = "model.decoder.0.pp_block.feed_forward.pattention"
SIDES = ("key", "value")
OPERATORS = {
    "own": AppendTokens(factor=2),
    "shared": AppendTokens(factor=2, new_tokens="zero_keys"),
    "one and a half": AppendTokens(factor=1.5),
}


def config_with(feed_forward_tokens: int) -> TokenformerConfig:
    return TokenformerConfig(
        hidden_size=6,
        num_hidden_layers=1,
        num_attention_heads=1,
        qkv_tokens=8,
        output_tokens=8,
        feed_forward_tokens=feed_forward_tokens,
        vocab_size=16,
        max_position_embeddings=8,
    )


def shard(whole: torch.Tensor, config: TokenformerConfig, rank: int, ranks: int) -> torch.Tensor:
    """A rank's rows: an equal share of every segment, segment after segment."""
    parts = whole.split([segment.tokens for segment in config.segments("feed_forward")])
    return torch.cat([part.chunk(ranks)[rank] for part in parts])


def unshard(shards: list[torch.Tensor], config: TokenformerConfig) -> torch.Tensor:
    sizes = [segment.tokens // len(shards) for segment in config.segments("feed_forward")]
    return torch.cat([torch.cat(parts) for parts in zip(*(each.split(sizes) for each in shards), strict=True)])


def grow(parameters, operator, before, rank=0, ranks=1, stage=1):
    after = operator.grown_config(before)
    context = GrowthContext(7, stage, (rank, ranks), root_mean_square=lambda name: 0.5)
    return {
        side: operator.grown_parameter(f"{NAME}.{side}_tokens", old, before, after, context)
        for side, old in parameters.items()
    }


def in_any_order(parameters: dict[str, torch.Tensor]) -> torch.Tensor:
    """Parameter tokens, each its key and its value, sorted: a sum over tokens does not see their order."""
    return torch.cat([parameters[side] for side in SIDES], dim=1).unique(dim=0)


@pytest.mark.parametrize("ranks", [2, 4])
@pytest.mark.parametrize("operator", OPERATORS.values(), ids=OPERATORS.keys())
def test_shards_grow_into_the_shards_of_the_whole(operator, ranks):
    before = config_with(16)
    whole = {side: torch.randn(16, 6) for side in SIDES}
    shards = [{side: shard(whole[side], before, rank, ranks) for side in SIDES} for rank in range(ranks)]
    for stage in (1, 2):
        whole = grow(whole, operator, before, stage=stage)
        shards = [grow(shards[rank], operator, before, rank, ranks, stage) for rank in range(ranks)]
        before = operator.grown_config(before)
    together = {side: unshard([each[side] for each in shards], before) for side in SIDES}
    if operator.own_norm:
        assert all(torch.equal(together[side], whole[side]) for side in SIDES)
    assert len(in_any_order(whole)) == before.tokens("feed_forward")
    assert torch.equal(in_any_order(together), in_any_order(whole))


@pytest.mark.parametrize("ranks", [1, 2, 4])
@pytest.mark.parametrize("operator", OPERATORS.values(), ids=OPERATORS.keys())
def test_moments_of_shards_have_the_shape_of_their_parameters(operator, ranks):
    before = config_with(16)
    after = operator.grown_config(before)
    for side in SIDES:
        old = torch.randn(16 // ranks, 6)
        moment = operator.grown_moment(f"{NAME}.{side}_tokens", old, before, after)
        parameter = grow({side: old}, operator, before, ranks - 1, ranks)[side]
        assert moment.shape == parameter.shape
        assert torch.equal(moment[: len(old)], old) and not moment[len(old) :].any()


def test_ranks_draw_different_rows():
    shards = [grow({"key": torch.zeros(4, 6)}, OPERATORS["own"], config_with(16), rank, 4)["key"] for rank in range(4)]
    new = torch.cat([each[4:] for each in shards])
    assert len(new.unique(dim=0)) == len(new) == 16
