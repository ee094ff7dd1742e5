"""Random initialisation, the same for every parallel layout.

Each parameter is drawn whole from a generator of its own, seeded by the run's seed and the parameter's name, and every
rank keeps its shard. So tp 2 starts from the weights of tp 1, and what a layer draws does not depend on its neighbours.
"""

import math

import torch
from nanotron.parallel.parameters import NanotronParameter

from tokenformer.model.config import TokenformerConfig
from tokenformer.model.parametrization import follows_size, projection_of, scale_of
from tokenformer.randomness import named_generator


def normal_shard(param: NanotronParameter, std: float, generator: torch.Generator) -> torch.Tensor:
    """This rank's part of a whole tensor drawn from N(0, std^2), in fp32 on the CPU."""
    if not param.is_sharded:
        return torch.randn(param.shape, generator=generator, device="cpu", dtype=torch.float32) * std
    info = param.get_sharded_info()
    whole = torch.randn(tuple(info.unsharded_shape), generator=generator, device="cpu", dtype=torch.float32) * std
    shard = torch.empty(param.shape, device="cpu", dtype=torch.float32)
    for pair in info.local_global_slices_pairs:
        shard[pair.local_slices] = whole[pair.global_slices]
    return shard


def parameter_std(name: str, param: NanotronParameter, config: TokenformerConfig, std: float) -> float:
    """Standard deviation of a parameter; under `parametrization: transfer` that of the base size, times its factor.

    official: 2 / (layers sqrt(hidden)) for value tokens and `std` for all others, as in the official GPU code.
    fan_in: 1 / sqrt(tokens) for value tokens, 1 / sqrt(inputs) for key tokens, as in the paper's TPU code; `std` for
    the others.
    """
    base, kind = config.base_size if follows_size(config) else None, name.rpartition(".")[2]
    hidden = base.hidden_size if base else config.hidden_size
    if kind == "value_tokens" and config.initialization == "official":
        std = 2 / (config.num_hidden_layers * math.sqrt(hidden))
    elif kind == "value_tokens":
        tokens = base.tokens(projection_of(name)) if base else param.get_sharded_info().unsharded_shape[0]
        std = 1 / math.sqrt(tokens)
    elif kind == "key_tokens" and config.initialization == "fan_in":
        std = 1 / math.sqrt(hidden)
    return std * scale_of(name, config).initial


@torch.no_grad()
def initialise(named_parameters, config, std: float, seed: int, tau: dict[str, list[float]]) -> None:
    """Fills every parameter: N(0, parameter_std^2), but 1 for the scales of norms, 0 for their shifts, and the stored
    tau for a learned one. Where `transfer` scales a final norm, it starts at that scale.

    Args:
        named_parameters: pairs of a layout-independent name and a `NanotronParameter`.
        tau: stored tau by parameter name.
    """
    for name, param in named_parameters:
        kind = name.rpartition(".")[2]
        if kind == "bias":
            param.zero_()
        elif kind == "tau":
            param.copy_(torch.tensor(tau[name]))
        elif "norm" in name:
            param.fill_(scale_of(name, config).initial)
        else:
            param.copy_(normal_shard(param, parameter_std(name, param, config, std), named_generator(seed, name)))
