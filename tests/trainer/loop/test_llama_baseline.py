"""The Llama baseline: the same command, a file that differs in its model_config alone, and no growth."""

import copy

import pytest
import yaml

from tests.support.training.run_files import (
    assert_same_end,
    checkpoint,
    growth_lines,
    held_out_steps,
    rewound_copy,
    step_lines,
    weights,
)
from tests.support.training.tiny_run import VOCABULARY
from tokenformer.cli import main
from tokenformer.config.loading import read_extended

LLAMA = {
    "is_llama_config": True,
    "vocab_size": VOCABULARY,
    "max_position_embeddings": 32,
    "hidden_size": 32,
    "intermediate_size": 64,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "tie_word_embeddings": True,
}


def test_the_shipped_configs_differ_in_model_config_alone(repository):
    contents = [read_extended(repository / "configs" / name) for name in ("tokenformer.yaml", "llama.yaml")]
    blocks = [content["model"].pop("model_config") for content in contents]
    assert contents[0] == contents[1]
    assert blocks[0]["is_tokenformer_config"] is blocks[1]["is_llama_config"] is True


@pytest.fixture(scope="module")
def llama_config(tiny_config, tmp_path_factory):
    content = copy.deepcopy(yaml.safe_load(tiny_config.read_text()))
    content["model"]["model_config"] = LLAMA
    path = tmp_path_factory.mktemp("llama") / "llama.yaml"
    path.write_text(yaml.safe_dump(content))
    return path


@pytest.fixture
def llama_run(train_here, llama_config):
    return train_here(config=llama_config)


def test_llama_trains_and_keeps_its_size(llama_run):
    lines = step_lines(llama_run)
    assert [line["iteration_step"] for line in lines] == list(range(1, 17))
    assert lines[-1]["lm_loss"] < lines[0]["lm_loss"] - 0.1
    assert len({line["growth/parameters"] for line in lines}) == 1
    assert growth_lines(llama_run) == []


def test_llama_reads_what_the_tokenformer_reads_at_the_same_rates(llama_run, reference):
    shared = ("iteration_step", "lr", "consumed_tokens", "consumed_words", "curriculum/complexity")
    ours, theirs = ([{key: line[key] for key in shared} for line in step_lines(run)] for run in (llama_run, reference))
    assert ours == theirs
    assert held_out_steps(llama_run) == held_out_steps(reference) == [0, 4, 8, 12, 16]


def test_the_plan_says_that_llama_does_not_grow(llama_config, capsys):
    assert main(["plan", str(llama_config)]) == 0
    assert "keeps its size" in capsys.readouterr().out


def test_llama_resumes_bitwise(train_here, llama_config, tmp_path):
    whole = train_here(config=llama_config)
    stopped = rewound_copy(whole, tmp_path / "resumed", step=6)
    train_here(config=llama_config, runs_folder=tmp_path / "resumed")
    assert_same_end(stopped, whole)


def test_its_size_is_counted_as_its_parameters_are(llama_run):
    counted = sum(tensor.numel() for tensor in weights(checkpoint(llama_run)).values())
    assert step_lines(llama_run)[0]["growth/parameters"] == counted
