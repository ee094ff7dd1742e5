"""Nanotron's own parser reads a Tokenformer, still reads its own models, and reads what we translate for it."""

import pytest
import torch
import yaml
from nanotron.config import LlamaConfig, Starcoder2Config, get_config_from_file
from nanotron.config.config import ModelArgs
from nanotron.parallel.tensor_parallel.enum import TensorParallelLinearMode

from tests.support.model_sizes import tokenformer_sizes
from tokenformer.config.loading import load_config
from tokenformer.model.config import TokenformerConfig, TokenSegment
from tokenformer.trainer.bridge.model_config import model_config_from
from tokenformer.trainer.bridge.nanotron_config import as_nanotron_yaml
from tokenformer.trainer.bridge.registry import register_model_types

NANOTRON_FILE = """
general: {project: p, run: r, seed: 1}
parallelism: {dp: 1, pp: 1, tp: 1, pp_engine: 1f1b, tp_mode: ALL_REDUCE, tp_linear_async_communication: false}
model:
  model_config: MODEL_CONFIG
  init_method: {std: 0.02}
  dtype: float32
  make_vocab_size_divisible_by: 1
tokenizer: {tokenizer_name_or_path: null}
checkpoints: {checkpoints_path: somewhere, checkpoint_interval: 10}
tokens: {sequence_length: 16, train_steps: 10, micro_batch_size: 2, batch_accumulation_per_replica: 1}
optimizer:
  zero_stage: 0
  weight_decay: 0.1
  clip_grad: 1.0
  accumulate_grad_in_fp32: false
  adam_eps: 1.0e-8
  adam_beta1: 0.9
  adam_beta2: 0.95
  torch_adam_is_fused: true
  learning_rate_scheduler: {learning_rate: 1.0e-3, lr_warmup_steps: 2, lr_warmup_style: linear, lr_decay_style: linear,
    min_decay_lr: 0.0}
"""

SHARED = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2, "vocab_size": 64}
SIZES = tokenformer_sizes(32, 2, 2, tokens=(16, 16, 32), vocabulary=64, positions=16)
TOKENFORMER = SIZES | {"is_tokenformer_config": True}
LLAMA = {**SHARED, "is_llama_config": True, "intermediate_size": 64, "max_position_embeddings": 16}
STARCODER = {**SHARED, "is_starcoder2_config": True, "intermediate_size": 64, "max_position_embeddings": 16}


@pytest.fixture
def parsed(tmp_path):
    """Nanotron's reading of its own file with this `model_config`."""

    def parse(model_config):
        path = tmp_path / "nanotron.yaml"
        path.write_text(NANOTRON_FILE.replace("MODEL_CONFIG", yaml.safe_dump(model_config, default_flow_style=True)))
        return get_config_from_file(str(path)).model.model_config

    return parse


def test_a_tokenformer_is_parsed(parsed):
    assert parsed(TOKENFORMER) == TokenformerConfig(**SIZES)


def test_a_grown_tokenformer_is_parsed_with_its_segments(parsed):
    segments = [{"tokens": 16, "tau": 4.0}, {"tokens": 16, "tau": 4.0}]
    model_config = parsed(TOKENFORMER | {"qkv_tokens": segments, "rotary_fraction": 1.0})
    assert model_config.qkv_tokens == [TokenSegment(16, 4.0), TokenSegment(16, 4.0)]
    assert model_config.tokens("qkv") == 32


def test_nanotrons_own_models_are_parsed_as_before(parsed):
    assert type(parsed(LLAMA)) is LlamaConfig
    assert type(parsed(STARCODER)) is Starcoder2Config


def test_registering_again_changes_nothing(parsed):
    before = ModelArgs.__annotations__["model_config"]
    register_model_types()
    assert ModelArgs.__annotations__["model_config"] == before
    parsed(TOKENFORMER)


def test_every_value_of_our_file_reaches_nanotron(tiny_config, tmp_path):
    """Values that differ from every default, under the names of Nanotron's main branch."""
    settings = {
        "general.seed": 11,
        "parallelism.tp_mode": "REDUCE_SCATTER",
        "model.dtype": "bfloat16",
        "model.init_method.std": 0.5,
        "optimizer.optimizer_factory.adam_beta1": 0.5,
        "optimizer.optimizer_factory.adam_beta2": 0.75,
        "optimizer.optimizer_factory.adam_eps": 0.125,
        "optimizer.optimizer_factory.torch_adam_is_fused": "false",
        "optimizer.weight_decay": 0.25,
        "optimizer.clip_grad": 3.0,
        "optimizer.learning_rate_scheduler.min_decay_lr": 1.0e-4,
        "tokens.batch_accumulation_per_replica": 2,
        "data_stages.0.data.seed": 5,
    }
    config = load_config(tiny_config, [f"{key}={value}" for key, value in settings.items()])
    model_config = model_config_from(config.model.model_config, "tokenformer", "tiny")
    path = tmp_path / "translated.yaml"
    path.write_text(as_nanotron_yaml(config, model_config))
    nanotron = get_config_from_file(str(path))

    assert nanotron.general.seed == 11 and nanotron.general.run == "tiny"
    assert nanotron.parallelism.tp_mode is TensorParallelLinearMode.REDUCE_SCATTER
    assert nanotron.model.dtype is torch.bfloat16 and nanotron.model.init_method.std == 0.5
    assert nanotron.model.model_config == model_config
    optimizer = nanotron.optimizer
    assert (optimizer.adam_beta1, optimizer.adam_beta2, optimizer.adam_eps) == (0.5, 0.75, 0.125)
    assert (optimizer.torch_adam_is_fused, optimizer.weight_decay, optimizer.clip_grad) == (False, 0.25, 3.0)
    schedule = optimizer.learning_rate_scheduler
    assert (schedule.learning_rate, schedule.lr_warmup_steps, schedule.min_decay_lr) == (2e-3, 3, 1e-4)
    assert (schedule.lr_decay_starting_step, schedule.lr_decay_steps) == (13, 3)
    assert nanotron.tokens.batch_accumulation_per_replica == 2
    assert nanotron.data.seed == 5
    assert str(nanotron.checkpoints.checkpoints_path) == str(config.checkpoints_folder)
