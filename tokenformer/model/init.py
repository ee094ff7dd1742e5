"""Random initialisation, the same for every parallel layout.

Each parameter is drawn whole from a generator of its own, seeded by the run's seed and the parameter's name, and every
rank keeps its shard. So tp 2 starts from the weights of tp 1, and what a layer draws does not depend on its neighbours.
"""

import hashlib
import math

import torch
from nanotron.parallel.parameters import NanotronParameter


def named_generator(seed: int, name: str) -> torch.Generator:
    """A CPU generator that depends on the seed and the name alone."""
    digest = hashlib.sha256(f"{seed}:{name}".encode()).digest()
    return torch.Generator().manual_seed(int.from_bytes(digest[:8], "little") >> 1)


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


def value_token_std(config) -> float:
    """2 / (layers sqrt(hidden)), the official code's initialisation of value tokens."""
    return 2 / (config.num_hidden_layers * math.sqrt(config.hidden_size))


@torch.no_grad()
def initialise(named_parameters, config, std: float, seed: int) -> None:
    """Fills every parameter: N(0, std^2) for key tokens, embedding and head, N(0, value_token_std^2) for value tokens,
    1 for the scales of norms and 0 for their shifts.

    Args:
        named_parameters: pairs of a layout-independent name and a `NanotronParameter`.
    """
    for name, param in named_parameters:
        kind = name.rpartition(".")[2]
        if kind == "bias":
            param.zero_()
        elif "norm" in name:
            param.fill_(1.0)
        else:
            param_std = value_token_std(config) if kind == "value_tokens" else std
            param.copy_(normal_shard(param, param_std, named_generator(seed, name)))
