"""A Tokenformer in plain eager torch, written as the paper writes it: what our speed is compared with."""

import math

import torch
from torch import nn
from torch.nn import functional


class PlainPattention(nn.Module):
    """`gelu(S / ||S|| sqrt(n)) V`, operation by operation."""

    def __init__(self, d_in: int, d_out: int, tokens: int):
        super().__init__()
        self.keys = nn.Parameter(torch.randn(tokens, d_in) / math.sqrt(d_in))
        self.values = nn.Parameter(torch.randn(tokens, d_out) / math.sqrt(tokens))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        score = x @ self.keys.T
        normalised = score / torch.linalg.vector_norm(score, dim=-1, keepdim=True) * math.sqrt(score.shape[-1])
        return functional.gelu(normalised) @ self.values


class PlainBlock(nn.Module):
    def __init__(self, config):
        super().__init__()
        hidden, key_value = config.hidden_size, config.num_key_value_heads * config.head_size
        self.query = PlainPattention(hidden, hidden, config.tokens("qkv"))
        self.key = PlainPattention(hidden, key_value, config.tokens("qkv"))
        self.value = PlainPattention(hidden, key_value, config.tokens("qkv"))
        self.output = PlainPattention(hidden, hidden, config.tokens("output"))
        self.feed_forward = PlainPattention(hidden, hidden, config.tokens("feed_forward"))
        self.head_size = config.head_size

    def forward(self, x: torch.Tensor, cos: torch.Tensor, sin: torch.Tensor) -> torch.Tensor:
        normed = functional.layer_norm(x, x.shape[-1:])
        query, key, value = (
            projection(normed).unflatten(-1, (-1, self.head_size)).transpose(1, 2)
            for projection in (self.query, self.key, self.value)
        )
        attended = functional.scaled_dot_product_attention(
            _rotate(query, cos, sin), _rotate(key, cos, sin), value, is_causal=True
        )
        x = x + self.output(attended.transpose(1, 2).flatten(2))
        return x + self.feed_forward(functional.layer_norm(x, x.shape[-1:]))


def _rotate(heads: torch.Tensor, cos: torch.Tensor, sin: torch.Tensor) -> torch.Tensor:
    half = cos.shape[-1]
    first, second, rest = heads[..., :half], heads[..., half : 2 * half], heads[..., 2 * half :]
    return torch.cat((first * cos - second * sin, second * cos + first * sin, rest), dim=-1)


class PlainTokenformer(nn.Module):
    """Token ids [batch, length] to the mean cross entropy of the next tokens; sizes from a `TokenformerConfig`."""

    def __init__(self, config):
        super().__init__()
        self.embedding = nn.Embedding(config.vocab_size, config.hidden_size)
        nn.init.normal_(self.embedding.weight, std=1 / math.sqrt(config.hidden_size))
        self.blocks = nn.ModuleList(PlainBlock(config) for _ in range(config.num_hidden_layers))
        self.norm = nn.LayerNorm(config.hidden_size)
        exponents = torch.arange(0, config.rotary_size, 2) / max(1, config.rotary_size)
        angles = torch.outer(torch.arange(config.max_position_embeddings).float(), config.rope_theta**-exponents)
        self.register_buffer("cos", angles.cos(), persistent=False)
        self.register_buffer("sin", angles.sin(), persistent=False)

    def forward(self, ids: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        x = self.embedding(ids)
        length = ids.shape[1]
        for block in self.blocks:
            x = block(x, self.cos[:length].to(x), self.sin[:length].to(x))
        logits = self.norm(x) @ self.embedding.weight.T
        return functional.cross_entropy(logits.float().flatten(0, 1), labels.flatten())
