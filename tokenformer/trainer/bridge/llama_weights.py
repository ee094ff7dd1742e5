"""Random weights of Nanotron's Llama that do not depend on the layout.

Release 0.4 seeds every tensor-parallel rank alike, so all shards of a matrix are born equal, get equal gradients, and
stay equal: the model trains at a fraction of its width. Here each parameter is drawn whole, by its name, as those of
the Tokenformer are, with Nanotron's standard deviations, and every rank keeps its shard.
"""

import math

import torch
from nanotron.models.llama import LlamaForTraining
from nanotron.parallel.tensor_parallel.nn import TensorParallelRowLinear

from tokenformer.model.init import normal_shard
from tokenformer.randomness import named_generator
from tokenformer.trainer.bridge.repairs import replace

REPAIR = "random weights of Nanotron's Llama are drawn whole, the same in every layout"


@torch.no_grad()
def init_model_randomly(model: LlamaForTraining, config) -> None:
    """Fills every parameter: 1 for the scales of norms, N(0, std^2) for matrices, and a std smaller by sqrt(2 layers)
    for those that write into the residual stream.

    Args:
        config: Nanotron's, of the whole run.
    """
    modules = dict(model.named_modules())
    prefixes = {id(module): f"{name}." if name else "" for name, module in modules.items()}
    std, layers = config.model.init_method.std, model.config.num_hidden_layers
    for name, param in model.named_parameters():
        module = modules[name.rpartition(".")[0]]
        if param.is_tied:
            name = param.get_tied_info().get_full_name_from_module_id_to_prefix(prefixes)
        if "norm" in name:
            param.fill_(1.0)
        else:
            deviation = std / math.sqrt(2 * layers) if isinstance(module, TensorParallelRowLinear) else std
            param.copy_(normal_shard(param, deviation, named_generator(config.general.seed, name)))


def draw_whole_tensors() -> None:
    """Makes Nanotron's Llama draw its weights so."""
    replace(LlamaForTraining, "init_model_randomly", init_model_randomly, REPAIR)
