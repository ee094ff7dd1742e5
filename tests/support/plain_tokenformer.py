"""The Tokenformer written out in plain torch, which shares no code with the package."""

import math

import torch


class PlainTokenformer:
    """Computes in the dtype of its parameters, by Nanotron's names, one einsum at a time."""

    def __init__(self, parameters, config):
        self.config = config
        self.parameters = {name.replace(".pp_block", ""): value for name, value in parameters.items()}

    def gelu(self, z):
        if self.config.gelu == "erf":
            return z / 2 * (1 + torch.special.erf(z / math.sqrt(2)))
        return z / 2 * (1 + torch.tanh(math.sqrt(2 / math.pi) * (z + 0.044715 * z**3)))

    def theta(self, score, tau):
        """The weights of one segment."""
        if self.config.theta == "softmax":
            return tau**2 * score.exp() / score.exp().sum(-1, keepdim=True)
        if self.config.theta == "gelu_l2_norm":
            score = self.gelu(score)
        normalised = tau * score / ((score**2).sum(-1, keepdim=True) + tau**2 * self.config.pattention_eps) ** 0.5
        return normalised if self.config.theta == "gelu_l2_norm" else self.gelu(normalised)

    def project(self, name, projection, x):
        """By Pattention, or by a matrix where the layer has one."""
        if f"{name}.weight" in self.parameters:
            return torch.einsum("bti,oi->bto", x, self.parameters[f"{name}.weight"])
        keys, values = (self.parameters[f"{name}.{side}_tokens"] for side in ("key", "value"))
        scores = torch.einsum("bti,ni->btn", x, keys)
        start, result = 0, 0.0
        for index, segment in enumerate(self.config.segments(projection, int(name.split(".")[2]))):
            rows = slice(start, start + segment.tokens)
            start += segment.tokens
            tau = self.parameters[f"{name}.tau"][index] if self.config.tau == "learned" else segment.tau
            result = result + torch.einsum("btn,no->bto", self.theta(scores[..., rows], tau), values[rows])
        assert start == len(keys)
        return result

    def feed_forward(self, name, x):
        if self.config.feed_forward_layer == "pattention":
            return self.project(f"{name}.pattention", "feed_forward", x)
        gate, up = (self.project(f"{name}.{part}", "feed_forward", x) for part in ("gate", "up"))
        return self.project(f"{name}.down", "feed_forward", gate / (1 + torch.exp(-gate)) * up)

    def norm(self, name, kind, x):
        if kind == "layer_norm":
            x = x - x.mean(-1, keepdim=True)
        x = x / ((x**2).mean(-1, keepdim=True) + self.config.norm_eps) ** 0.5
        return x * self.parameters.get(f"{name}.weight", 1.0) + self.parameters.get(f"{name}.bias", 0.0)

    def turned(self, heads):
        """Each pair of features (i, i + size / 2) of [batch, length, heads, size], by position times frequency."""
        half = self.config.rotary_size // 2
        frequencies = self.config.rope_theta ** (-torch.arange(half, dtype=torch.float64) / max(half, 1))
        angles = torch.outer(torch.arange(heads.shape[1], dtype=torch.float64), frequencies)[:, None]
        cos, sin = angles.cos().to(heads), angles.sin().to(heads)
        first, second = heads[..., :half], heads[..., half : 2 * half]
        turned = [first * cos - second * sin, second * cos + first * sin]
        return torch.cat([*turned, heads[..., 2 * half :]], -1)

    def unseen(self, ids):
        """True [batch, query, key] where the key is later or in another document; an end token is in that it ends."""
        position = torch.arange(ids.shape[1])
        unseen = (position[None, :] > position[:, None]).repeat(len(ids), 1, 1)
        if self.config.document_mask:
            for sample, query, key in unseen.logical_not().nonzero().tolist():
                unseen[sample, query, key] = (ids[sample, key:query] == self.config.eos_token_id).any()
        return unseen

    def attention(self, name, x, unseen):
        size, heads = self.config.head_size, self.config.num_attention_heads
        query, key, value = (
            self.project(f"{name}.qkv.{part}", "qkv", x).unflatten(-1, (-1, size)) for part in ("query", "key", "value")
        )
        query, key = self.turned(query), self.turned(key)
        served_by = torch.arange(heads) // (heads // self.config.num_key_value_heads)
        scores = torch.einsum("bqhs,bkhs->bhqk", query, key[:, :, served_by]) / math.sqrt(size)
        weights = scores.masked_fill(unseen[:, None], -math.inf).exp()
        weights = weights / weights.sum(-1, keepdim=True)
        attended = torch.einsum("bhqk,bkhs->bqhs", weights, value[:, :, served_by])
        return self.project(f"{name}.output", "output", attended.flatten(2))

    def logits(self, ids):
        """Ids [batch, length] to [batch, length, vocabulary]."""
        embedding = self.parameters["model.token_position_embeddings.token_embedding.weight"]
        hidden, unseen = embedding[ids], self.unseen(ids)
        for layer in range(self.config.num_hidden_layers):
            name, kind = f"model.decoder.{layer}", self.config.block_norm
            attended = self.attention(f"{name}.attention", self.norm(f"{name}.attention_norm", kind, hidden), unseen)
            hidden = hidden + attended
            normed = self.norm(f"{name}.feed_forward_norm", kind, hidden)
            hidden = hidden + self.feed_forward(f"{name}.feed_forward", normed)
        hidden = self.norm("model.final_norm", self.config.final_norm, hidden)
        return hidden @ self.parameters.get("model.lm_head.weight", embedding).T
