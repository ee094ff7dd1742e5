"""Pattention as a Nanotron module: its parameter tokens are sharded over the tensor-parallel group."""

import torch
from nanotron import distributed as dist
from nanotron.parallel.sharded_parameters import SplitConfig, create_sharded_parameter_from_config
from torch import nn

from tokenformer.kernels import pattention
from tokenformer.model.config import TokenformerConfig


class Pattention(nn.Module):
    """Attention between tokens and learned parameter tokens (arXiv:2410.23168), d_in -> d_out.

    `key_tokens` [n, d_in] and `value_tokens` [n, d_out] hold this rank's rows: an equal share of every segment, segment
    after segment. Over a tensor-parallel group of more than one rank the output is this rank's partial sum and the
    caller reduces it.
    """

    def __init__(
        self, config: TokenformerConfig, projection: str, in_features: int, out_features: int, pg: dist.ProcessGroup
    ):
        super().__init__()
        segments = config.segments(projection)
        self.segments = [segment.tokens // pg.size() for segment in segments]
        self.tau = [segment.tau for segment in segments]
        self.eps, self.gelu, self.kernel, self.pg = config.pattention_eps, config.gelu, config.kernel, pg
        chunks = tuple(segment.tokens for segment in segments)
        self.key_tokens = self._sharded(torch.empty(sum(self.segments), in_features), chunks)
        self.value_tokens = self._sharded(torch.empty(sum(self.segments), out_features), chunks)

    def _sharded(self, tensor: torch.Tensor, chunks: tuple[int, ...]) -> nn.Parameter:
        split = SplitConfig(split_dim=0, contiguous_chunks=chunks)
        return create_sharded_parameter_from_config(nn.Parameter(tensor), self.pg, split)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """[.., d_in] to [.., d_out]."""
        return pattention(
            x,
            self.key_tokens,
            self.value_tokens,
            tau=self.tau,
            eps=self.eps,
            gelu=self.gelu,
            segments=self.segments,
            backend=self.kernel,
            group=self.pg,
        )

    def extra_repr(self) -> str:
        return f"segments={self.segments}, tau={self.tau}"
