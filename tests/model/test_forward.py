"""The model's output, against a plain implementation in float64 that shares no code with it."""

import pytest
import torch

from tests.support.plain_tokenformer import PlainTokenformer
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


def plain_model(config, model):
    """In float64."""
    return PlainTokenformer({name: value.detach().double() for name, value in model.named_parameters()}, config)


def logits_of(model, ids):
    """[batch, length, vocabulary]"""
    with torch.no_grad():
        return model.model(input_ids=ids, input_mask=torch.ones_like(ids, dtype=torch.bool)).transpose(0, 1)


@pytest.mark.parametrize("changes", CONFIGS.values(), ids=CONFIGS.keys())
def test_logits_and_loss_are_those_of_the_plain_implementation(tokenformer_config, random_model, batch, changes):
    config = tokenformer_config(**changes)
    model, inputs = random_model(config), batch(config)
    inputs["label_mask"][:, ::3] = False
    expected = plain_model(config, model).logits(inputs["input_ids"])
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
