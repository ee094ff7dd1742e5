"""Pattention as an ordinary torch layer: no Nanotron, no process group."""

import math

import torch
from torch import nn

from tokenformer.kernels import pattention


class Pattention(nn.Module):
    """Attention between tokens and learned parameter tokens, in place of a linear layer (arXiv:2410.23168).

    Args:
        in_features: d_in.
        out_features: d_out.
        tokens: n, parameter tokens at the start. A linear layer costs as much as n = d_in d_out / (d_in + d_out).
        variant, gelu, eps, backend: see `tokenformer.kernels.pattention`.
        learned_tau: whether the scale of the normalised scores is trained; otherwise it stays sqrt(n).

    `state_dict` holds the segments too: a grown layer loads into one of the size at the start.
    """

    def __init__(
        self,
        in_features: int,
        out_features: int,
        tokens: int,
        *,
        variant: str = "l2_norm_gelu",
        gelu: str = "erf",
        eps: float = 1e-6,
        learned_tau: bool = False,
        backend: str = "auto",
    ):
        super().__init__()
        self.in_features, self.out_features = in_features, out_features
        self.options = {"variant": variant, "gelu": gelu, "eps": eps, "backend": backend}
        self.key_tokens = nn.Parameter(torch.randn(tokens, in_features) / math.sqrt(in_features))
        self.value_tokens = nn.Parameter(torch.randn(tokens, out_features) / math.sqrt(tokens))
        tau = torch.tensor([math.sqrt(tokens)])
        if learned_tau:
            self.tau = nn.Parameter(tau)
        else:
            self.register_buffer("tau", tau)
        self.register_buffer("segments", torch.tensor([tokens]))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """[.., d_in] to [.., d_out]."""
        segments = self.segments.tolist()
        return pattention(x, self.key_tokens, self.value_tokens, tau=self.tau, segments=segments, **self.options)

    @torch.no_grad()
    def grow(self, tokens: int) -> None:
        """Appends `tokens` parameter tokens; the function stays what it was.

        They have random keys of the old keys' scale, zero values, and a norm of their own. The layer's parameters are
        new objects afterwards: hand them to the optimizer again.

        Raises:
            ValueError: fewer than no tokens. None at all is the identity.
        """
        if tokens < 0:
            raise ValueError(f"a layer cannot grow by {tokens} tokens; give 0 or more")
        if tokens == 0:
            return
        scale = self.key_tokens.square().mean().sqrt()
        new_keys = torch.randn_like(self.key_tokens[:1].expand(tokens, -1)) * scale
        new_values = self.value_tokens.new_zeros(tokens, self.out_features)
        self.key_tokens = nn.Parameter(torch.cat([self.key_tokens, new_keys]))
        self.value_tokens = nn.Parameter(torch.cat([self.value_tokens, new_values]))
        tau = torch.cat([self.tau, self.tau.new_tensor([math.sqrt(tokens)])])
        self.tau = nn.Parameter(tau) if isinstance(self.tau, nn.Parameter) else tau
        self.segments = torch.cat([self.segments, self.segments.new_tensor([tokens])])

    def _load_from_state_dict(self, state_dict, prefix, *arguments) -> None:
        for name, own in [*self.named_parameters(recurse=False), *self.named_buffers(recurse=False)]:
            stored = state_dict.get(prefix + name)
            if stored is not None and stored.shape != own.shape and stored.shape[1:] == own.shape[1:]:
                resized = own.new_empty(stored.shape)
                setattr(self, name, nn.Parameter(resized) if isinstance(own, nn.Parameter) else resized)
        super()._load_from_state_dict(state_dict, prefix, *arguments)

    def extra_repr(self) -> str:
        return f"{self.in_features}, {self.out_features}, tokens={self.segments.tolist()}"
