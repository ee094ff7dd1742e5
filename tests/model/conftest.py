"""Models built by Nanotron in this one process."""

import os
from collections.abc import Callable
from types import SimpleNamespace

import pytest
import torch

from tests.support.model_sizes import tokenformer_sizes
from tokenformer.model.config import TokenformerConfig
from tokenformer.trainer import bootstrap

# Tests import Nanotron as other packages from here on.
bootstrap()

DEFAULTS = tokenformer_sizes(24, 2, 3, tokens=(10, 14, 20), vocabulary=50, positions=16) | {"rotary_fraction": 0.5}


@pytest.fixture(scope="session")
def tokenformer_config() -> Callable[..., TokenformerConfig]:
    """`tokenformer_config(**changes)` is the config of a tiny Tokenformer."""
    return lambda **changes: TokenformerConfig(**{**DEFAULTS, **changes})


@pytest.fixture(scope="module")
def parallel_context():
    """Nanotron's, with one process. Neither its process group nor the launch variables are left behind."""
    from nanotron.parallel import ParallelContext

    from tokenformer.trainer.bridge.cpu_host import ensure_process_group

    environment = dict(os.environ)
    ensure_process_group()
    context = ParallelContext(tensor_parallel_size=1, pipeline_parallel_size=1, data_parallel_size=1)
    os.environ.clear()
    os.environ.update(environment)
    yield context
    torch.distributed.destroy_process_group()


@pytest.fixture(scope="module")
def build(parallel_context) -> Callable:
    """`build(config, std, seed)` is a model as Nanotron's trainer makes it: built, tied and initialised."""
    from nanotron import trainer
    from nanotron.config import ParallelismArgs
    from nanotron.models import build_model

    parallelism = ParallelismArgs(dp=1, pp=1, tp=1)

    def build(config, std: float = 0.02, seed: int = 1):
        model_class = trainer.CONFIG_TO_MODEL_CLASS[type(config).__name__]
        model = build_model(
            lambda: model_class(config, parallel_context=parallel_context, parallel_config=parallelism),
            parallel_context,
            torch.float32,
        )
        trainer.mark_tied_parameters(model, parallel_context, parallelism)
        model.module_id_to_prefix = {id(module): f"{name}." for name, module in model.named_modules()}
        model.module_id_to_prefix[id(model)] = ""
        settings = SimpleNamespace(
            model=SimpleNamespace(init_method=SimpleNamespace(std=std), model_config=config),
            general=SimpleNamespace(seed=seed),
        )
        model.init_model_randomly(settings)
        return model

    return build


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


@pytest.fixture(scope="session")
def batch() -> Callable[..., dict[str, torch.Tensor]]:
    """`batch(config, size, length, seed)` is what a model takes, at random and with every label counted."""

    def batch(config, size: int = 3, length: int = 12, seed: int = 0) -> dict[str, torch.Tensor]:
        tokens = torch.randint(config.vocab_size, (size, length + 1), generator=torch.Generator().manual_seed(seed))
        mask = torch.ones(size, length, dtype=torch.bool)
        return {
            "input_ids": tokens[:, :-1].contiguous(),
            "input_mask": mask,
            "label_ids": tokens[:, 1:].contiguous(),
            "label_mask": mask.clone(),
        }

    return batch
