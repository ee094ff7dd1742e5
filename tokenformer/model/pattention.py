"""Pattention as a Nanotron module: its parameter tokens are sharded over the tensor-parallel group."""

from collections.abc import Sequence

import torch
from nanotron import distributed as dist
from nanotron.parallel.sharded_parameters import SplitConfig, create_sharded_parameter_from_config
from torch import nn

from tokenformer.kernels import grouped_pattention
from tokenformer.model.config import TokenformerConfig


class Pattention(nn.Module):
    """Attention between tokens and learned parameter tokens (arXiv:2410.23168), d_in -> d_out.

    `key_tokens` [n, d_in] and `value_tokens` [n, d_out] hold this rank's rows: an equal share of every segment, segment
    after segment. Over a tensor-parallel group of more than one rank the output is this rank's partial sum and the
    caller reduces it. With `tau: learned` the parameter `tau` [segments] is whole on every rank.
    """

    def __init__(
        self,
        config: TokenformerConfig,
        projection: str,
        layer: int,
        in_features: int,
        out_features: int,
        pg: dist.ProcessGroup,
    ):
        super().__init__()
        segments = config.segments(projection, layer)
        self.segments = [segment.tokens // pg.size() for segment in segments]
        self.stored_tau = [segment.tau for segment in segments]
        self.tau = nn.Parameter(torch.empty(len(segments))) if config.tau == "learned" else None
        self.options = {
            "eps": config.pattention_eps,
            "variant": config.theta,
            "gelu": config.gelu,
            "backend": config.kernel,
            "group": pg,
        }
        chunks = tuple(segment.tokens for segment in segments)
        self.key_tokens = self._sharded(torch.empty(sum(self.segments), in_features), chunks, pg)
        self.value_tokens = self._sharded(torch.empty(sum(self.segments), out_features), chunks, pg)
        self._tau_tensors: dict[torch.device, torch.Tensor] = {}

    @staticmethod
    def _sharded(tensor: torch.Tensor, chunks: tuple[int, ...], pg: dist.ProcessGroup) -> nn.Parameter:
        split = SplitConfig(split_dim=0, contiguous_chunks=chunks)
        param = create_sharded_parameter_from_config(nn.Parameter(tensor), pg, split)
        info = param.get_sharded_info()
        # Nanotron leaves numpy integers here, writes "np.int64(8)" into checkpoints and cannot read that at another tp.
        info.unsharded_shape = tuple(int(size) for size in info.unsharded_shape)
        return param

    def _tau(self, device: torch.device) -> torch.Tensor:
        """tau [segments]; a stored one is made once a device, and is no buffer, since Nanotron would round it."""
        if self.tau is not None:
            return self.tau
        if device not in self._tau_tensors:
            self._tau_tensors[device] = torch.tensor(self.stored_tau, dtype=torch.float64, device=device)
        return self._tau_tensors[device]

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """[.., d_in] to [.., d_out]."""
        return pattentions_of([self], x)[0]

    def extra_repr(self) -> str:
        return f"segments={self.segments}, tau={self.stored_tau}"


def pattentions_of(modules: Sequence[Pattention], x: torch.Tensor) -> tuple[torch.Tensor, ...]:
    """Outputs of several layers for one x [.., d_in], computed together."""
    return grouped_pattention(
        x,
        [module.key_tokens for module in modules],
        [module.value_tokens for module in modules],
        tau=[module._tau(x.device) for module in modules],
        segments=[module.segments for module in modules],
        **modules[0].options,
    )
