"""Models of transformers read trees exactly as they read whole texts, or are known not to."""

import numpy as np
import pytest
import torch

from tokenformer.evaluation.huggingface_network import HuggingFaceNetwork
from tokenformer.evaluation.networks import LogitsFunction, log_probabilities
from tokenformer.evaluation.requests import Request

transformers = pytest.importorskip("transformers", reason="these models are of transformers, in the extra [eval]")

SIZES = {"vocab_size": 50, "hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 4}
MODELS = {
    "llama": lambda: transformers.LlamaConfig(**SIZES, intermediate_size=48, num_key_value_heads=2),
    "neox": lambda: transformers.GPTNeoXConfig(**SIZES, intermediate_size=48),
    "gpt2": lambda: transformers.GPT2Config(vocab_size=50, n_embd=32, n_layer=2, n_head=4, n_positions=64),
    "mistral": lambda: transformers.MistralConfig(
        **SIZES, intermediate_size=48, num_key_value_heads=2, sliding_window=4
    ),
    "cohere": lambda: transformers.CohereConfig(
        **SIZES, intermediate_size=48, num_key_value_heads=2, logit_scale=0.5, bos_token_id=1, eos_token_id=2
    ),
}


def model_of(name: str, dtype: torch.dtype = torch.float32):
    torch.manual_seed(0)
    model = transformers.AutoModelForCausalLM.from_config(MODELS[name]()).to(dtype).eval()
    for parameter in model.parameters():
        torch.nn.init.normal_(parameter, std=0.3)
    return model


@pytest.fixture(scope="module")
def asked() -> list[Request]:
    """Texts of two to thirty tokens, many of which begin alike, some equal, some with a context."""
    random = np.random.default_rng(0)
    stems = [random.integers(50, size=20).tolist() for _ in range(5)]
    texts = [
        stems[number % 5][: random.integers(1, 20)] + random.integers(50, size=random.integers(1, 10)).tolist()
        for number in range(60)
    ]
    return [Request(tuple(text), int(random.integers(1, len(text)))) for text in [*texts, texts[0]]]


@torch.no_grad()
def by_definition(model, request: Request) -> tuple[float, bool]:
    logits = model(torch.tensor([request.tokens[:-1]])).logits[0, -request.scored :].double()
    targets = torch.tensor(request.tokens[-request.scored :])
    values = logits.log_softmax(-1).gather(1, targets[:, None])
    return values.sum().item(), bool((logits.argmax(-1) == targets).all())


@pytest.mark.parametrize(("name", "shares"), [("llama", True), ("neox", True), ("gpt2", True), ("mistral", False)])
def test_scores_are_those_of_each_text_alone_for_any_batch_size(name, shares, asked):
    model = model_of(name)
    network = HuggingFaceNetwork(model)
    assert network.shares_prefixes == shares, network.reason
    expected = [by_definition(model, request) for request in asked]
    for size in (None, 1, 7):
        values, greedy = log_probabilities(network, asked, size, greedy=True)
        np.testing.assert_allclose(values, [value for value, _ in expected], rtol=1e-5, atol=1e-4)
        assert greedy == [is_greedy for _, is_greedy in expected]


def test_some_of_them_are_greedy():
    """Or else the test above says little."""
    model = model_of("llama")
    tokens = [3, 4]
    network = HuggingFaceNetwork(model)
    tokens += [int(network.next_logits(tokens).argmax())]
    tokens += [int(network.next_logits(tokens).argmax())]
    assert log_probabilities(network, [Request(tuple(tokens), 2), Request((*tokens, 5), 3)], greedy=True)[1][0]
    assert by_definition(model, Request(tuple(tokens), 2))[1]


def test_a_head_that_is_more_than_a_matrix_is_noticed(asked):
    model = model_of("cohere")
    network = HuggingFaceNetwork(model)
    assert not network.shares_prefixes and "does not heed" in network.reason
    values, _ = log_probabilities(network, asked)
    np.testing.assert_allclose(values, [by_definition(model, request)[0] for request in asked], rtol=1e-5, atol=1e-4)


def test_a_model_that_refuses_the_arguments_is_noticed():
    model = model_of("llama")
    forward = model.model.forward
    model.model.forward = lambda input_ids=None, attention_mask=None, **others: forward(
        input_ids=input_ids, use_cache=False, **refuse(attention_mask, others)
    )

    def refuse(mask, others):
        if mask is not None and mask.dim() == 4:
            raise ValueError("no masks of four dimensions")
        return {}

    assert "no masks of four dimensions" in HuggingFaceNetwork(model).reason


def test_sixteen_bits_are_read_text_by_text():
    assert "bfloat16" in HuggingFaceNetwork(model_of("llama", torch.bfloat16)).reason


def test_any_causal_function_of_ids_will_do(asked):
    model = model_of("gpt2")
    network = LogitsFunction(lambda ids: model(ids).logits)
    values, _ = log_probabilities(network, asked, 7)
    np.testing.assert_allclose(values, [by_definition(model, request)[0] for request in asked], rtol=1e-5, atol=1e-4)
