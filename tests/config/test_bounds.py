"""Values that no run can live with are refused at their key, before any work, and the bound is named."""

import dataclasses
import math
import typing

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from tokenformer.config.building import build, options_of, paths_of
from tokenformer.config.keys import key_of
from tokenformer.config.loading import load_config
from tokenformer.config.sections import RunConfig
from tokenformer.errors import UserError
from tokenformer.run_config import load_run_config

SCHEDULE = "optimizer.learning_rate_scheduler"
# What the user sets, and what the message has to say of the key.
REFUSED = {
    f"{SCHEDULE}.learning_rate=.inf": "a finite number, above 0",
    f"{SCHEDULE}.min_decay_lr=.nan": "a finite number",
    f"{SCHEDULE}.lr_warmup_steps=-1": "0 or more",
    "optimizer.weight_decay=.inf": "a finite number",
    "optimizer.clip_grad=.nan": "a finite number",
    "optimizer.clip_grad=0": "above 0",
    "optimizer.optimizer_factory.adam_eps=.inf": "a finite number",
    "optimizer.optimizer_factory.adam_beta1=1.0": "0 or more and below 1",
    "optimizer.parameter_groups.0.parameters='('": "no regular expression",
    "growth.tolerance=.nan": "a finite number",
    "growth.new_moments=old": "choose one of keep, zero, mean",
    "growth.warmup_steps=-1": "0 or more",
    "growth.learning_rate_factor=0.0": "above 0",
    "growth.trigger.percentiles=[60, 40]": "a list of rising numbers",
    "growth.trigger={name: schedule, steps: [.inf]}": "of type int",
    "growth.trigger={name: schedule, flops: [.inf]}": "a finite number",
    "model.init_method.std=.inf": "a finite number",
    "model.model_config.rope_theta=0": "1 or more",
    "model.model_config.hidden_size=1000000000": "at most 1,048,576",
    "model.model_config.vocab_size=1e30": "of type int",
    "model.model_config.qkv_tokens=1000000000": "at most 67,108,864",
    "model.model_config.num_hidden_layers=1000000": "at most 10,000",
    "model.model_config.norm_eps=.nan": "a finite number",
    "general.seed=-1": "0 or more and at most 4,294,967,295",
    "general.seed=4294967296": "0 or more and at most 4,294,967,295",
    "data_stages.0.data.seed=-1": "0 or more",
    "data_stages.0.data.num_loading_workers=1000000": "at most 256",
    "tokens.micro_batch_size=1000000": "at most 65,536",
    "tokens.sequence_length=1000000000": "at most 16,777,216",
    "curriculum.ordering={name: staged, stages: 100000}": "at most 1,000",
    "curriculum.ordering={name: [paced]}": "choose one of random",
    "curriculum.ordering=[paced]": "must be a section with keys",
    "curriculum.selections=[{name: prune, head: .nan}]": "a finite number",
    "curriculum.smoothing=1": "0 or more and below 1",
    "validation.levels=0": "1 or more",
    "validation.levels=hard": "choose one of source, or a number",
    "evaluation.every_words=0": "1 or more",
    "general.run=..": "name of a folder inside general.runs_folder",
    "general.run=''": "name of a folder inside general.runs_folder",
    "general.run=a/../../b": "name of a folder inside general.runs_folder",
    "general.run=/a": "name of a folder inside general.runs_folder",
    "general.run=.": "name of a folder inside general.runs_folder",
}
IDLE = {
    "parallelism.expert_parallel_size": ([1, 0, "null"], 2, "there are no experts"),
    "tokenizer.tokenizer_name_or_path": (["null"], "gpt2", "tokenformer prepare --tokenizer"),
    "data_stages.0.start_training_step": ([1, 0, "null"], 100, "`curriculum` orders the data"),
}


@pytest.fixture(scope="module")
def shipped(repository):
    return repository / "configs" / "tokenformer.yaml"


@pytest.mark.parametrize("assignment", REFUSED)
def test_a_value_that_no_run_can_live_with_is_refused_at_its_key(shipped, assignment):
    with pytest.raises(UserError) as caught:
        load_run_config(shipped, [assignment])
    key = assignment.partition("=")[0]
    assert str(caught.value).startswith(f"{shipped}: ")
    assert key.removesuffix(".parameters") in str(caught.value) and REFUSED[assignment] in str(caught.value)


@pytest.mark.parametrize("key", IDLE)
def test_a_key_that_does_nothing_takes_no_value_that_would_do_something(shipped, key):
    accepted, refused, remedy = IDLE[key]
    for value in accepted:
        load_config(shipped, [f"{key}={value}"])
    with pytest.raises(UserError) as caught:
        load_config(shipped, [f"{key}={refused}"])
    assert key in str(caught.value) and remedy in str(caught.value)


def number_keys() -> list[str]:
    """Dotted path of every key of a run that may hold a float and nothing else."""
    found = []

    def walk(section: type, above: str) -> None:
        for name, hint in typing.get_type_hints(section).items():
            for option in options_of(hint):
                item = typing.get_args(option)[0] if typing.get_origin(option) is list else option
                if dataclasses.is_dataclass(item):
                    walk(item, f"{above}{name}." + ("0." if item is not option else ""))
            if set(options_of(hint)) <= {float, type(None)}:
                found.append(f"{above}{name}")

    walk(RunConfig, "")
    return found


@pytest.mark.parametrize("key", [key for key in number_keys() if not key.startswith("curriculum.context_length")])
@pytest.mark.parametrize("value", [".inf", "-.inf", ".nan"])
def test_no_number_is_infinite_or_none(shipped, key, value):
    with pytest.raises(UserError, match="must be a finite number"):
        load_config(shipped, [f"{key}={value}"])


def test_every_whole_number_has_an_end():
    """What counts or sizes something is bounded above, so that a slip of the keyboard does not fill the memory."""
    free = {"evaluation.at_words", "evaluation.every_words", "curriculum.budget.words"}  # they are compared, not built
    keys = dict(paths_of(RunConfig))
    hints = {}

    def walk(section: type, above: str) -> None:
        for field in dataclasses.fields(section):
            hint = typing.get_type_hints(section)[field.name]
            for option in options_of(hint):
                item = typing.get_args(option)[0] if typing.get_origin(option) is list else option
                if dataclasses.is_dataclass(item):
                    walk(item, f"{above}{field.name}." + ("0." if item is not option else ""))
                elif item is int and key_of(field).choices is None:
                    hints[f"{above}{field.name}"] = item

    walk(RunConfig, "")
    assert {path for path in hints if keys[path].most is None} <= free


@settings(max_examples=100)
@given(st.floats(allow_nan=True) | st.integers())
def test_a_rate_is_accepted_exactly_within_its_bounds(rate):
    content = yaml.safe_load("{model: {model_config: {}}, tokens: {sequence_length: 8}, data_stages: []}")
    content["optimizer"] = {"learning_rate_scheduler": {"learning_rate": rate}}
    if math.isfinite(rate) and 0 < rate <= 1000:
        assert build(content, RunConfig, "", "run.yaml").optimizer.learning_rate_scheduler.learning_rate == float(rate)
    else:
        with pytest.raises(UserError, match="learning_rate"):
            build(content, RunConfig, "", "run.yaml")
