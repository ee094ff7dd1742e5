"""Random initialisation, the same for every parallel layout.

Each parameter is drawn whole from a generator of its own, seeded by the run's seed and the parameter's name, and every
rank keeps its shard. So tp 2 starts from the weights of tp 1, and what a layer draws does not depend on its neighbours.
"""

import math

import torch
from nanotron.parallel.parameters import NanotronParameter

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


def parameter_std(kind: str, param: NanotronParameter, config, std: float) -> float:
    """Standard deviation of a parameter of a kind, the last part of its name.

    official: 2 / (layers sqrt(hidden)) for value tokens and `std` for all others, as in the official GPU code.
    fan_in: 1 / sqrt(tokens) for value tokens, 1 / sqrt(inputs) for key tokens, as in the paper's TPU code; `std` for
    the others.
    """
    if config.initialization == "fan_in" and kind == "key_tokens":
        return 1 / math.sqrt(param.shape[1])
    if kind != "value_tokens":
        return std
    if config.initialization == "fan_in":
        return 1 / math.sqrt(param.get_sharded_info().unsharded_shape[0])
    return 2 / (config.num_hidden_layers * math.sqrt(config.hidden_size))


@torch.no_grad()
def initialise(named_parameters, config, std: float, seed: int, tau: dict[str, list[float]]) -> None:
    """Fills every parameter: N(0, parameter_std^2), but 1 for the scales of norms, 0 for their shifts, and the stored
    tau for a learned one.

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
            param.fill_(1.0)
        else:
            param.copy_(normal_shard(param, parameter_std(kind, param, config, std), named_generator(seed, name)))
