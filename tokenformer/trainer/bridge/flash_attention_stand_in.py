"""The parts of flash-attn that Nanotron imports, over plain torch, for machines where flash-attn is not installed.

Only Nanotron's own modules are pointed here (see `import_repair`): to other packages flash-attn stays absent. What
training uses is here; Nanotron's generation needs the real flash-attn, and says so when it is called.
"""

import torch
from torch import nn
from torch.nn import functional

from tokenformer.kernels.attention import attend


def layer_norm_fn(
    x,
    weight,
    bias=None,
    residual=None,
    eps=1e-6,
    dropout_p=0.0,
    prenorm=False,
    residual_in_fp32=False,
    is_rms_norm=False,
    return_dropout_mask=False,
):
    """RMSNorm or LayerNorm over the last dimension of x, shape kept; no residual and no dropout."""
    if residual is not None or dropout_p or prenorm or return_dropout_mask:
        raise NotImplementedError("the flash-attn stand-in normalises only; install flash-attn for the fused variants")
    if is_rms_norm:
        return functional.rms_norm(x, x.shape[-1:], weight, eps)
    return functional.layer_norm(x, x.shape[-1:], weight, bias, eps)


def _attend(query, key, value, causal, scale):
    """[batch, length, heads, head size] each, fewer key/value heads allowed; returns the shape of `query`."""
    heads_first = (tensor.transpose(1, 2) for tensor in (query, key, value))
    return attend(*heads_first, is_causal=causal, scale=scale).transpose(1, 2)


def flash_attn_varlen_func(
    q,
    k,
    v,
    cu_seqlens_q,
    cu_seqlens_k,
    max_seqlen_q,
    max_seqlen_k,
    dropout_p=0.0,
    softmax_scale=None,
    causal=False,
    return_attn_probs=False,
    **unused,
):
    """Attention over sequences packed along dimension 0: q [tokens, heads, head size]; returns the shape of q."""
    if dropout_p or return_attn_probs or unused:
        raise NotImplementedError("the flash-attn stand-in has no dropout, windows or returned probabilities")
    lengths_q = cu_seqlens_q.diff().tolist()
    lengths_k = cu_seqlens_k.diff().tolist()
    if len(set(lengths_q)) == 1 and lengths_q == lengths_k:
        batch = len(lengths_q)
        query, key, value = (tensor.unflatten(0, (batch, -1)) for tensor in (q, k, v))
        return _attend(query, key, value, causal, softmax_scale).flatten(0, 1)
    if causal and lengths_q != lengths_k:
        raise NotImplementedError("the flash-attn stand-in has no causal attention over a longer past")
    pieces = zip(q.split(lengths_q), k.split(lengths_k), v.split(lengths_k), strict=True)
    return torch.cat([_attend(a[None], b[None], c[None], causal, softmax_scale)[0] for a, b, c in pieces])


class RotaryEmbedding(nn.Module):
    """Rotary position embedding (Su et al. 2021, arXiv:2104.09864) with flash-attn's calling convention."""

    def __init__(self, dim: int, base: float = 10000.0, interleaved: bool = False, **unused):
        super().__init__()
        if unused:
            raise NotImplementedError(f"the flash-attn stand-in has no rotary options {sorted(unused)}")
        self.dim, self.base, self.interleaved = dim, base, interleaved

    def _angles(self, length: int, device) -> torch.Tensor:
        exponents = torch.arange(0, self.dim, 2, dtype=torch.float32, device=device) / self.dim
        return torch.outer(torch.arange(length, dtype=torch.float32, device=device), self.base**-exponents)

    def _rotate(self, x: torch.Tensor) -> torch.Tensor:
        """x [batch, length, heads, head size]; the first `dim` features of each head are turned."""
        angles = self._angles(x.shape[1], x.device)[:, None]  # [length, 1, dim / 2]
        cos, sin = angles.cos().to(x.dtype), angles.sin().to(x.dtype)
        turned, rest = x[..., : self.dim], x[..., self.dim :]
        if self.interleaved:
            first, second = turned[..., ::2], turned[..., 1::2]
            pair = torch.stack((first * cos - second * sin, first * sin + second * cos), -1).flatten(-2)
        else:
            first, second = turned.chunk(2, dim=-1)
            pair = torch.cat((first * cos - second * sin, first * sin + second * cos), -1)
        return torch.cat((pair, rest), -1)

    def forward(self, query: torch.Tensor, kv: torch.Tensor):
        """query [batch, length, heads, head size] and kv [batch, length, 2, heads, head size], both returned turned."""
        return self._rotate(query), torch.stack((self._rotate(kv[:, :, 0]), kv[:, :, 1]), dim=2)


def __getattr__(name: str):
    """Whatever else Nanotron imports from flash-attn belongs to its generation: it imports, and says so when called."""
    if name.startswith("__"):
        raise AttributeError(name)

    def needs_flash_attention(*args, **kwargs):
        raise NotImplementedError(
            f"flash_attn's {name} is used by Nanotron's generation only; install flash-attn for it"
        )

    return needs_flash_attention
