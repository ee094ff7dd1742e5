"""Clones of a tiny Llama whose weights are given by a formula, as they are recorded in golden/hypercloning.json.

`python tests/growth/clone_recordings.py` prints the file anew. What is recorded without noise and with one generator
was equal, bit for bit, to what the authors' code (apple/ml-hypercloning at 7c4e80b, with transformers 4.46.3 and torch
2.13 on a CPU) makes of the same weights. With a generator for each parameter it is what a run of ours makes.
"""

import hashlib
import json

import torch
from plain_models import LlamaConfig, grown, llama_shapes, parameter_names

from tokenformer.growth.cloning import clone
from tokenformer.growth.hypercloning import HyperCloning

SEED = 1234
FACTORS = [(2, 2), (2, 1), (1, 2), (3, 3), (4, 2)]
NOISY = [(2, 2, 10.0), (3, 3, 0.0), (4, 2, 40.0)]
DRAWN = ("qkv_proj", "o_proj", "gate_up_proj", "down_proj")  # in the authors' order
EVERY = 29  # values between two recorded ones


def llama_config(key_value_heads: int) -> LlamaConfig:
    return LlamaConfig(8, 12, 1, 4, key_value_heads, 11, tie_word_embeddings=True)


def formula_weights(shapes: dict[str, tuple[int, ...]]) -> dict[str, torch.Tensor]:
    """Multiples of 1/256 between -1/2 and 1/2, the same on every machine."""
    weights = {}
    for index, (name, shape) in enumerate(sorted(shapes.items())):
        count = torch.Size(shape).numel()
        numbers = (torch.arange(count) * 37 + torch.arange(count) // 11 * 101 + 53 * index) % 257 - 128
        weights[name] = (numbers.float() / 256).reshape(shape)
    return weights


def one_generator(operator: HyperCloning, config: LlamaConfig, old: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """The grown parameters with noise as the authors' code draws it: all from one generator, matrix after matrix."""
    generator, after = torch.Generator().manual_seed(SEED), operator.grown_config(config)
    rank = {module: place for place, module in enumerate(DRAWN)}
    names = sorted(parameter_names(after), key=lambda name: rank.get(name.split(".")[-2], -1))
    parameters = {}
    for name in names:
        (source,) = operator.sources(name, config, after)
        parameters[name] = clone(old[source], operator.rule(name, config), operator.kind, operator.noise_db, generator)
    return parameters


def digest(parameters: dict[str, torch.Tensor]) -> str:
    """SHA-256 of all values, parameter after parameter in the order of their names."""
    whole = hashlib.sha256()
    for name in sorted(parameters):
        whole.update(parameters[name].contiguous().numpy().astype("<f4").tobytes())
    return whole.hexdigest()


def some_values(parameters: dict[str, torch.Tensor]) -> dict[str, list[float]]:
    """Of the parameters that noise is drawn for."""
    return {
        name: parameters[name].flatten()[::EVERY].tolist()
        for name in sorted(parameters)
        if name.split(".")[-2] in DRAWN
    }


def recordings() -> dict:
    result = {"without noise": {}, "one generator": {}, "a generator each": {}}
    for key_value_heads in (1, 2, 4):
        config = llama_config(key_value_heads)
        old = formula_weights(llama_shapes(config))
        for width, feed_forward in FACTORS:
            operator = HyperCloning(width, feed_forward, noise_db=None, tied_embeddings="untie")
            case = f"{width} x {feed_forward}, {key_value_heads} key and value heads"
            result["without noise"][case] = digest(grown(operator, config, old)[0])
    config = llama_config(2)
    old = formula_weights(llama_shapes(config))
    for width, feed_forward, noise_db in NOISY:
        operator = HyperCloning(width, feed_forward, noise_db=noise_db, tied_embeddings="untie")
        case = f"{width} x {feed_forward}, {noise_db:.0f} dB"
        result["one generator"][case] = some_values(one_generator(operator, config, old))
        result["a generator each"][case] = some_values(grown(operator, config, old, seed=SEED, stage=2)[0])
    return result


if __name__ == "__main__":
    print(json.dumps(recordings()))
