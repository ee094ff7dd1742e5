"""A user's mistake ends in one line that names the key or the file and the remedy, before anything is written."""

import pytest
import yaml

from tests.support.training.launching import clean_environment, run_python, train_arguments
from tests.support.training.run_files import files, rewound_copy, step_lines

ACCUMULATE = "optimizer.accumulate_grad_in_fp32=true"
SCHEDULE = "optimizer.learning_rate_scheduler"

# What the user sets, and what the message has to name.
MISTAKES = {
    "typo in a key": (["optimizer.weight_dekay=0.1"], ["optimizer.weight_dekay", "weight_decay"]),
    "typo in a section": (["tokns.sequence_length=8"], ["tokns", "tokens"]),
    "typo in the model": (["model.model_config.hidden_sise=8"], ["model.model_config.hidden_sise", "hidden_size"]),
    "typo in an operator": (
        ["growth.operators.tokenformer.facter=3"],
        ["growth.operators.tokenformer.facter", "factor"],
    ),
    "word for a number": ([f"{SCHEDULE}.learning_rate=fast"], ["learning_rate", "fast"]),
    "no value": (["optimizer.weight_decay"], ["optimizer.weight_decay", "section.key=value"]),
    "missing corpus": (["data_stages.0.data.dataset.dataset_folder=nowhere"], ["nowhere", "tokenformer prepare"]),
    "small vocabulary": (["model.model_config.vocab_size=100"], ["vocab_size", "100", "384"]),
    "growth that shrinks": (
        ["growth.operators.tokenformer.factor=0.5"],
        ["growth.operators.tokenformer", "factor", "0.5"],
    ),
    "long sequence": (["tokens.sequence_length=64"], ["tokens.sequence_length", "64", "max_position_embeddings", "32"]),
    "two replicas, one process": (["parallelism.dp=2"], ["parallelism", "torchrun --nproc-per-node 2"]),
    "tokens that tp splits": (
        ["parallelism.tp=2", "model.model_config.qkv_tokens=15"],
        ["qkv_tokens", "15", "parallelism.tp", "14", "16"],
    ),
    "grown tokens that tp splits": (
        ["parallelism.tp=2", "growth.operators.tokenformer.qkv=1.3125"],
        ["stage 2", "qkv_tokens", "parallelism.tp"],
    ),
    "heads that tp splits": (
        ["parallelism.tp=2", "model.model_config.num_key_value_heads=1"],
        ["num_key_value_heads", "parallelism.tp"],
    ),
    "no weights to start with": (["model.init_method={}"], ["model.init_method", "std", "path"]),
    "two kinds of weights": (
        ["model.init_method={std: 0.02, path: somewhere}"],
        ["model.init_method.std=null", "model.init_method.path=null", "somewhere"],
    ),
    "the optimizer of random weights": (
        ["model.init_method={std: 0.02, optimizer: true}"],
        ["model.init_method.optimizer", "path"],
    ),
    "start without a checkpoint": (
        ["model.init_method={path: nowhere}"],
        ["model.init_method.path", "nowhere", "no checkpoint"],
    ),
    "a name that changes": (["general.run=tiny_%date_%jobid"], ["general.run is 'tiny_%date_%jobid'", "$SLURM_JOB_ID"]),
    "a place that changes": (
        ["checkpoints.checkpoints_path=saved/%jobid"],
        ["checkpoints.checkpoints_path is 'saved/%jobid'", "$SLURM_JOB_ID"],
    ),
    "no replica": (["parallelism.tp=0"], ["parallelism.tp"]),
    "unknown ordering": (["curriculum.ordering.name=easiest"], ["easiest", "easy_to_hard"]),
    "unknown trigger": (["growth.trigger.name=moon"], ["growth.trigger.name", "moon", "complexity"]),
    "unknown operator": (
        ["growth.operators.tokenformer.name=split"],
        ["growth.operators.tokenformer.name", "append_tokens"],
    ),
    "operator of another model": (["growth.operators.llama={name: append_tokens}"], ["growth.operators.llama"]),
    "fp32 copies of fp32": ([ACCUMULATE], ["optimizer.accumulate_grad_in_fp32", "false"]),
    "unknown ZeRO stage": (["growth=null", "optimizer.zero_stage=3"], ["optimizer.zero_stage"]),
    "unknown dtype": (["model.dtype=float8"], ["model.dtype", "bfloat16"]),
    "unknown kernel": (["model.model_config.kernel=fast"], ["kernel", "fast", "torch"]),
    "unknown optimizer": (["optimizer.optimizer_factory.name=sgd"], ["optimizer_factory.name", "adamW"]),
    "unknown tp mode": (["parallelism.tp_mode=SUM"], ["parallelism.tp_mode", "SUM", "REDUCE_SCATTER"]),
    "unknown pp engine": (["parallelism.pp_engine=fast"], ["parallelism.pp_engine", "fast", "1f1b"]),
    "unknown decay": ([f"{SCHEDULE}.lr_decay_style=steep"], ["lr_decay_style", "steep", "cosine"]),
    "unknown warm-up": ([f"{SCHEDULE}.lr_warmup_style=steep"], ["lr_warmup_style", "steep", "linear"]),
    "unknown log level": (["logging.log_level=loud"], ["logging.log_level", "loud", "error"]),
    "no steps": (["tokens.train_steps=0"], ["tokens.train_steps", "0"]),
    "no logging": (["logging.iteration_step_info_interval=0"], ["logging.iteration_step_info_interval"]),
    "unknown levels": (["validation.levels=hard"], ["validation.levels", "hard", "source"]),
    "no windows": (["validation.batch_size=0"], ["validation.batch_size"]),
    "negative workers": (["data_stages.0.data.num_loading_workers=-1"], ["num_loading_workers"]),
    "sequence that tp splits": (
        ["parallelism.tp=2", "parallelism.tp_mode=REDUCE_SCATTER", "tokens.sequence_length=31"],
        ["tokens.sequence_length", "31", "parallelism.tp"],
    ),
}


@pytest.fixture
def refused(command_line, capsys):
    """Trains, expects to be refused, and returns the one line that says why."""

    def train(*settings, **options):
        capsys.readouterr()
        assert command_line(*settings, **options) == 2
        printed = capsys.readouterr()
        assert printed.out == ""
        lines = printed.err.splitlines()
        assert len(lines) == 1, printed.err
        assert lines[0].startswith("tokenformer: ")
        return lines[0]

    return train


@pytest.mark.parametrize(("settings", "named"), MISTAKES.values(), ids=MISTAKES.keys())
def test_a_mistake_is_named_before_anything_is_written(refused, tmp_path, settings, named):
    line = refused(*settings, f"general.runs_folder={tmp_path / 'runs'}")
    assert [word for word in named if word not in line] == [], line
    assert not (tmp_path / "runs").exists()


def test_min_decay_lr_may_be_left_out(train_here):
    """It is null by default, and then nothing decays."""
    no_decay = (
        f"{SCHEDULE}.min_decay_lr=null",
        f"{SCHEDULE}.lr_decay_starting_step=null",
        f"{SCHEDULE}.lr_decay_steps=null",
    )
    run = train_here(*no_decay, "tokens.train_steps=6")
    assert [line["lr"] for line in step_lines(run)][3:] == [2e-3] * 3


def test_a_missing_config_is_named(refused, tmp_path):
    line = refused(config=tmp_path / "none.yaml")
    assert str(tmp_path / "none.yaml") in line
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("content", ["[1, 2", "", "- a\n- b", "general: {run: a, run: b}"])
def test_a_file_that_holds_no_sections_is_named(refused, tmp_path, content):
    path = tmp_path / "odd.yaml"
    path.write_text(content)
    assert str(path) in refused(config=path)


@pytest.mark.parametrize("section", ["tokens", "model", "data_stages"])
def test_a_missing_section_is_named(refused, tiny_config, tmp_path, section):
    content = yaml.safe_load(tiny_config.read_text())
    del content[section]
    path = tmp_path / "short.yaml"
    path.write_text(yaml.safe_dump(content))
    line = refused(config=path)
    assert section in line and str(path) in line


def test_more_processes_than_the_layout_has_are_refused(refused, tmp_path):
    environment = {"WORLD_SIZE": "3", "RANK": "0"}
    line = refused("parallelism.dp=2", f"general.runs_folder={tmp_path / 'runs'}", variables=environment)
    assert "parallelism" in line and "not 3" in line
    assert not (tmp_path / "runs").exists()


def test_only_the_first_rank_complains(command_line, capsys):
    environment = {"WORLD_SIZE": "2", "RANK": "1"}
    assert command_line("optimizer.weight_dekay=1", variables=environment) == 2
    assert capsys.readouterr().err == ""


def test_the_real_command_prints_no_traceback(tiny_config, tmp_path):
    settings = ("optimizer.weight_dekay=1", f"general.runs_folder={tmp_path / 'runs'}")
    done = run_python(["-m", "tokenformer", *train_arguments(tiny_config, settings)], clean_environment())
    assert done.returncode == 2
    assert done.stderr.count("\n") == 1 and "weight_decay" in done.stderr
    assert done.stdout == ""
    assert not (tmp_path / "runs").exists()


@pytest.fixture
def stopped_run(reference, tmp_path):
    return rewound_copy(reference, tmp_path, step=9)


CHANGES = {
    "learning rate": (f"{SCHEDULE}.learning_rate=1.0e-3", f"{SCHEDULE}.learning_rate"),
    "ordering": ("curriculum.ordering.name=random", "curriculum.ordering.name"),
    "growth": ("growth.trigger.percentiles.1=70", "growth.trigger.percentiles"),
    "model": ("model.model_config.feed_forward_tokens=64", "model.model_config.feed_forward_tokens"),
    "seed": ("general.seed=8", "general.seed"),
}


@pytest.mark.parametrize(("setting", "key"), CHANGES.values(), ids=CHANGES.keys())
def test_a_run_is_not_continued_with_another_config(refused, stopped_run, tmp_path, setting, key):
    before = files(tmp_path)
    line = refused(setting, f"general.runs_folder={tmp_path}")
    assert key in line and str(stopped_run) in line and "general.run=NAME" in line
    assert files(tmp_path) == before


def test_a_run_is_not_continued_on_another_corpus(refused, stopped_run, tmp_path, other_corpus_folder):
    before = files(tmp_path)
    corpus = f"data_stages.0.data.dataset.dataset_folder={other_corpus_folder}"
    line = refused(corpus, f"general.runs_folder={tmp_path}")
    assert "another corpus" in line and str(stopped_run) in line and str(other_corpus_folder) in line
    assert files(tmp_path) == before


@pytest.mark.parametrize("name", ["growth.json", "curriculum.json"])
def test_a_damaged_record_is_named(refused, stopped_run, tmp_path, name):
    path = stopped_run / "checkpoints" / "9" / name
    path.write_text("{")
    assert name in refused(f"general.runs_folder={tmp_path}")
