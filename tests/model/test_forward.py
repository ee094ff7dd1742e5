"""The model's output, against a plain implementation in float64 that shares no code with it."""

import math

import pytest
import torch

from tokenformer.model.config import LayerTokens, TokenSegment

CONFIGS = {
    "as the paper": {"rotary_fraction": 0.25},
    "whole heads turn": {"rotary_fraction": 1.0},
    "no positions": {"rotary_fraction": 0.0},
    "rms norm": {"block_norm": "rms_norm", "final_norm": "rms_norm"},
    "learned norms": {"block_norm_affine": True},
    "learned rms norms": {"block_norm": "rms_norm", "block_norm_affine": True},
    "grouped queries": {"num_key_value_heads": 1},
    "untied": {"tie_word_embeddings": False},
    "tanh gelu": {"gelu": "tanh"},
    "no eps": {"pattention_eps": 0.0},
    "large eps": {"pattention_eps": 0.1, "norm_eps": 0.1},
    "other base": {"rope_theta": 100.0, "rotary_fraction": 1.0},
    "reference kernel": {"kernel": "reference"},
    "torch kernel": {"kernel": "torch"},
    "softmax": {"theta": "softmax", "qkv_tokens": [TokenSegment(10, 3.0), TokenSegment(6, 2.4)]},
    "gelu before the norm": {"theta": "gelu_l2_norm", "qkv_tokens": [TokenSegment(10, 3.0), TokenSegment(6, 2.4)]},
    "learned tau": {"tau": "learned", "output_tokens": [TokenSegment(5, 1.1), TokenSegment(7, 2.0)]},
    "linear projections": {"qkv_layer": "linear", "output_layer": "linear", "num_key_value_heads": 1},
    "swiglu": {"feed_forward_layer": "swiglu", "swiglu_width": 40},
    "layers of different size": {"layer_tokens": [LayerTokens(1, qkv_tokens=6, feed_forward_tokens=9)]},
    "documents": {"document_mask": True, "eos_token_id": 0, "vocab_size": 5},
    "grown": {
        "qkv_tokens": [TokenSegment(10, 3.0), TokenSegment(6, 2.4)],
        "output_tokens": [TokenSegment(5, 1.1)],
        "feed_forward_tokens": [TokenSegment(9, 3.0), TokenSegment(3, 1.7), TokenSegment(4, 2.0)],
    },
}


class PlainTokenformer:
    """Ids [batch, length] to logits [batch, length, vocabulary], in float64, one einsum at a time."""

    def __init__(self, config, model):
        self.config = config
        parameters = {name: parameter.detach().double() for name, parameter in model.named_parameters()}
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
        """Each pair of features (i, i + size / 2) as a complex number, turned by position times frequency."""
        half = self.config.rotary_size // 2
        frequencies = self.config.rope_theta ** (-torch.arange(half, dtype=torch.float64) / max(half, 1))
        angles = torch.arange(heads.shape[1], dtype=torch.float64)[:, None] * frequencies
        turns = torch.polar(torch.ones_like(angles), angles)[:, None]  # [length, 1, half]
        pairs = torch.complex(heads[..., :half], heads[..., half : 2 * half]) * turns
        return torch.cat([pairs.real, pairs.imag, heads[..., 2 * half :]], -1)

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


@pytest.fixture
def random_model(build):
    """A model with parameters of order 1, norms included, so that no part of it is too small to be seen."""

    def make(config, seed=0):
        model, generator = build(config), torch.Generator().manual_seed(seed)
        with torch.no_grad():
            for parameter in model.parameters():
                parameter.copy_(torch.randn(parameter.shape, generator=generator) * 0.5)
        return model

    return make


def logits_of(model, ids):
    """[batch, length, vocabulary]"""
    with torch.no_grad():
        return model.model(input_ids=ids, input_mask=torch.ones_like(ids, dtype=torch.bool)).transpose(0, 1)


@pytest.mark.parametrize("changes", CONFIGS.values(), ids=CONFIGS.keys())
def test_logits_and_loss_are_those_of_the_plain_implementation(tokenformer_config, random_model, batch, changes):
    config = tokenformer_config(**changes)
    model, inputs = random_model(config), batch(config)
    inputs["label_mask"][:, ::3] = False
    expected = PlainTokenformer(config, model).logits(inputs["input_ids"])
    assert expected.std() > 0.5
    logits = logits_of(model, inputs["input_ids"]).double()
    assert (logits - expected).abs().max() < 1e-5 * expected.abs().max()
    chosen = expected.log_softmax(-1).gather(-1, inputs["label_ids"][..., None])[..., 0][inputs["label_mask"]]
    with torch.no_grad():
        assert model(**inputs)["loss"].item() == pytest.approx(-chosen.mean().item(), rel=1e-5)


@pytest.mark.parametrize("position", [0, 5, 11])
def test_a_token_does_not_change_what_comes_before_it(tokenformer_config, random_model, batch, position):
    config = tokenformer_config()
    model, ids = random_model(config), batch(config)["input_ids"]
    changed = ids.clone()
    changed[:, position] = (ids[:, position] + 1) % config.vocab_size
    before, after = logits_of(model, ids), logits_of(model, changed)
    assert torch.equal(before[:, :position], after[:, :position])
    assert ((before - after)[:, position:].abs().amax(-1) > 1e-4).all()


def test_samples_of_a_batch_do_not_see_one_another(tokenformer_config, random_model, batch):
    config = tokenformer_config()
    model, ids = random_model(config), batch(config)["input_ids"]
    torch.testing.assert_close(logits_of(model, ids)[1:2], logits_of(model, ids[1:2]))


@pytest.mark.parametrize(("fraction", "sees_order"), [(0.0, False), (0.25, True), (1.0, True)])
def test_without_rotary_features_the_order_of_the_past_is_not_seen(
    tokenformer_config, random_model, batch, fraction, sees_order
):
    config = tokenformer_config(rotary_fraction=fraction, num_hidden_layers=1)
    model, ids = random_model(config), batch(config)["input_ids"]
    shuffled = torch.cat([ids[:, :-1].flip(1), ids[:, -1:]], 1)
    difference = (logits_of(model, ids) - logits_of(model, shuffled))[:, -1].abs().max()
    assert (difference > 1e-3) == sees_order and (sees_order or difference < 1e-4)


def test_masked_labels_do_not_matter(tokenformer_config, random_model, batch):
    config = tokenformer_config()
    model, inputs = random_model(config), batch(config)
    inputs["label_mask"][0, 3:] = False
    with torch.no_grad():
        loss = model(**inputs)["loss"]
        inputs["label_ids"][0, 3:] = 0
        assert torch.equal(model(**inputs)["loss"], loss)
        inputs["label_ids"][0, 2] += 1
        assert not torch.equal(model(**inputs)["loss"], loss)


def test_masked_labels_send_no_gradient(tokenformer_config, random_model, batch):
    config = tokenformer_config(tie_word_embeddings=False)
    model, inputs = random_model(config), batch(config, size=1)
    inputs["label_mask"][0, 4:] = False
    inputs["input_ids"][0] = torch.arange(12)
    model(**inputs)["loss"].backward()
    embedding = dict(model.named_parameters())["model.token_position_embeddings.pp_block.token_embedding.weight"]
    assert embedding.grad[:4].any(dim=1).all()
    assert not embedding.grad[4:].any()
