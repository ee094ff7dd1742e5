"""Pattention as an ordinary torch layer: no Nanotron, no process group."""

import math

import torch
from torch import nn

from tokenformer.kernels import pattention
from tokenformer.model.optimizer_growth import carry_over, check_can_grow, mark_as_replaced


class Pattention(nn.Module):
    """Attention between tokens and learned parameter tokens, in place of a linear layer (arXiv:2410.23168).

    Args:
        in_features: d_in.
        out_features: d_out.
        tokens: n, parameter tokens at the start. A linear layer costs as much as n = d_in d_out / (d_in + d_out).
        variant: the formula that makes weights of scores: l2_norm_gelu, gelu_l2_norm or softmax.
        gelu: erf or tanh.
        eps: mean-square eps of the norm of the scores.
        backend: auto, triton, torch or reference; see `tokenformer.kernels.pattention`.
        learned_tau: whether the scale of the normalised scores is trained; otherwise it stays sqrt(n).

    `state_dict` holds the segments too: a grown layer loads into one of the size at the start.
    """

    tau: torch.Tensor
    segments: torch.Tensor

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
        self.key_tokens = nn.Parameter(torch.empty(tokens, in_features))
        self.value_tokens = nn.Parameter(torch.empty(tokens, out_features))
        if learned_tau:
            self.tau = nn.Parameter(torch.empty(1))
        else:
            self.register_buffer("tau", torch.empty(1))
        self.segment_sizes = [tokens]  # the numbers that the buffer holds for `state_dict`, which no compiler can read
        self.register_buffer("segments", torch.tensor([tokens]))
        self.reset_parameters()

    @torch.no_grad()
    def reset_parameters(self) -> None:
        """Draws all parameter tokens anew, as for a new layer, and sets each tau to the square root of its segment."""
        self.key_tokens.normal_().div_(math.sqrt(self.in_features))
        for values in self.value_tokens.split(self.segment_sizes):
            values.normal_().div_(math.sqrt(len(values)))
        self.tau.copy_(torch.tensor([math.sqrt(size) for size in self.segment_sizes]))
        self.segments.copy_(torch.tensor(self.segment_sizes))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """[.., d_in] to [.., d_out]."""
        segments = self.segment_sizes
        return pattention(x, self.key_tokens, self.value_tokens, tau=self.tau, segments=segments, **self.options)

    @torch.no_grad()
    def grow(self, tokens: int, optimizer: torch.optim.Optimizer | None = None) -> None:
        """Appends `tokens` parameter tokens; the function stays what it was.

        They have random keys of the old keys' scale, zero values, and a norm of their own. The layer's parameters are
        new objects afterwards, without gradients: grow between two steps. An optimizer that holds the old ones raises
        at its next step.

        Args:
            optimizer: takes the new parameters in place of the old ones, in their groups, and keeps what it knows about
                the old tokens, such as moments; about the new tokens it knows nothing yet.

        Raises:
            ValueError: fewer than no tokens, or an optimizer that does not hold the layer's parameters or keeps
                something about them that is not of their shape. None at all is the identity.
        """
        if tokens < 0:
            raise ValueError(f"a layer cannot grow by {tokens} tokens; give 0 or more")
        if tokens == 0:
            return
        if optimizer is not None:
            check_can_grow(optimizer, dict(self.named_parameters(recurse=False)))
        scale = self.key_tokens.square().mean().sqrt()
        new_keys = torch.randn_like(self.key_tokens[:1].expand(tokens, -1)) * scale
        self._append("key_tokens", new_keys, optimizer)
        self._append("value_tokens", self.value_tokens.new_zeros(tokens, self.out_features), optimizer)
        self._append("tau", self.tau.new_tensor([math.sqrt(tokens)]), optimizer)
        self._append("segments", self.segments.new_tensor([tokens]), optimizer)
        self.segment_sizes = [*self.segment_sizes, tokens]

    def _append(self, name: str, new: torch.Tensor, optimizer: torch.optim.Optimizer | None) -> None:
        old = getattr(self, name)
        self._replace(name, torch.cat([old, new]))
        if isinstance(old, nn.Parameter):
            if optimizer is not None:
                carry_over(optimizer, old, getattr(self, name))
            mark_as_replaced(old)

    def _replace(self, name: str, tensor: torch.Tensor) -> None:
        """Puts a tensor of another size in the place of a parameter, which stays frozen if it is, or of a buffer."""
        old = getattr(self, name)
        is_parameter = isinstance(old, nn.Parameter)
        setattr(self, name, nn.Parameter(tensor, requires_grad=old.requires_grad) if is_parameter else tensor)

    def _load_from_state_dict(self, state_dict, prefix, *arguments) -> None:
        for name, own in [*self.named_parameters(recurse=False), *self.named_buffers(recurse=False)]:
            stored = state_dict.get(prefix + name)
            if stored is not None and stored.shape != own.shape and stored.shape[1:] == own.shape[1:]:
                self._replace(name, own.new_empty(stored.shape))
                if isinstance(own, nn.Parameter):
                    mark_as_replaced(own)
        super()._load_from_state_dict(state_dict, prefix, *arguments)
        if prefix + "segments" in state_dict:
            self.segment_sizes = state_dict[prefix + "segments"].tolist()

    def extra_repr(self) -> str:
        return f"{self.in_features}, {self.out_features}, tokens={self.segment_sizes}"
