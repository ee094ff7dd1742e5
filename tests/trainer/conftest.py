"""One tiny corpus, one tiny config, and the runs that several tests look at."""

import os
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from unittest import mock

import numpy as np
import pytest
import torch.distributed
import yaml
from launching import LAUNCH_VARIABLES, start_torchrun, start_training, train_arguments

VOCABULARY = 384
RUN = "tiny"
TWO_REPLICAS = ("parallelism.dp=2", "tokens.micro_batch_size=2")

TINY_MODEL = {
    "is_tokenformer_config": True,
    "vocab_size": VOCABULARY,
    "max_position_embeddings": 32,
    "hidden_size": 32,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "qkv_tokens": 16,
    "output_tokens": 16,
    "feed_forward_tokens": 32,
}

CONSTANT_UNTIL_THE_END = {
    "learning_rate": 2.0e-3,
    "lr_warmup_steps": 3,
    "lr_decay_starting_step": 13,
    "lr_decay_steps": 3,
    "min_decay_lr": 0.0,
}


def tiny_content(corpus_folder: Path, runs_folder: Path) -> dict:
    """A run of 16 steps that grows twice by rising complexity, with a checkpoint of every step."""
    return {
        "general": {"run": RUN, "seed": 7, "runs_folder": str(runs_folder)},
        "model": {"model_config": TINY_MODEL},
        "checkpoints": {"checkpoint_interval": 1},
        "logging": {"log_level": "error", "log_level_replica": "error"},
        "tokens": {"sequence_length": 32, "micro_batch_size": 4, "train_steps": 16, "val_check_interval": 4},
        "optimizer": {"learning_rate_scheduler": CONSTANT_UNTIL_THE_END},
        "data_stages": [{"name": "tiny", "data": {"dataset": {"dataset_folder": str(corpus_folder)}, "seed": 3}}],
        "curriculum": {"ordering": {"name": "easy_to_hard"}, "smoothing": 0.5},
        "growth": {
            "trigger": {"name": "complexity", "percentiles": [30, 60]},
            "operators": {"tokenformer": {"name": "append_tokens", "factor": 2}},
            "tolerance": 1.0e-5,
        },
        "validation": {"batch_size": 16},
    }


def _words(random: np.random.Generator, letters: str, lengths: tuple[int, int], count: int) -> list[str]:
    return ["".join(random.choice(list(letters), size=random.integers(*lengths))) for _ in range(count)]


def write_texts(folder: Path, seed: int, documents: int = 120) -> None:
    """Three sources, a document a line: from few short words to many long ones."""
    random = np.random.default_rng(seed)
    levels = {
        "easy": _words(random, "abdeginot", (2, 4), 20),
        "middle": _words(random, "abcdefghilmnoprstu", (3, 6), 80),
        "hard": _words(random, "abcdefghijklmnopqrstuvwxyz", (5, 9), 300),
    }
    folder.mkdir(parents=True)
    for name, words in levels.items():
        lines = [" ".join(random.choice(words, size=random.integers(3, 7))) for _ in range(documents)]
        (folder / f"{name}.txt").write_text("\n".join(lines) + "\n", encoding="utf-8")


def prepare(folder: Path, seed: int) -> Path:
    from tokenformer.data.prepare import PrepareOptions, prepare_corpus
    from tokenformer.data.reading import InputSource

    write_texts(folder / "texts", seed)
    options = PrepareOptions(
        inputs=[InputSource(folder / "texts")],
        output=folder / "prepared",
        unit="line",
        vocabulary_size=VOCABULARY,
        validation_share=0.15,
    )
    prepare_corpus(options)
    return folder / "prepared"


@pytest.fixture(scope="session")
def corpus_folder(tmp_path_factory) -> Path:
    """A prepared corpus of three levels of difficulty."""
    return prepare(tmp_path_factory.mktemp("corpus"), seed=0)


@pytest.fixture(scope="session")
def other_corpus_folder(tmp_path_factory) -> Path:
    """A corpus of the same kind with other text."""
    return prepare(tmp_path_factory.mktemp("other-corpus"), seed=1)


@pytest.fixture(scope="session")
def tiny_config(tmp_path_factory, corpus_folder: Path) -> Path:
    """The YAML file of the tiny run; `tiny_content` says what it does."""
    folder = tmp_path_factory.mktemp("config")
    path = folder / "tiny.yaml"
    content = tiny_content(corpus_folder, folder / "runs")
    path.write_text(yaml.safe_dump(content, sort_keys=False), encoding="utf-8")
    return path


@pytest.fixture(scope="session")
def reference(tiny_config: Path) -> Path:
    """The folder of the tiny run, trained without interruption by the command line."""
    start_training(tiny_config).expect_success()
    return tiny_config.parent / "runs" / RUN


@pytest.fixture(scope="session")
def two_replicas(tiny_config: Path, tmp_path_factory) -> Path:
    """The folder of the tiny run, trained by two replicas under torchrun at the same global batch."""
    folder = tmp_path_factory.mktemp("two-replicas")
    start_torchrun(tiny_config, *TWO_REPLICAS, f"general.runs_folder={folder}", ranks=2).expect_success()
    return folder / RUN


@contextmanager
def alone_in_this_process(**variables: str) -> Iterator[None]:
    """Training in the process of the tests: leaves neither a process group nor launch variables behind."""
    assert not torch.distributed.is_initialized(), "an earlier test left its process group behind"
    with mock.patch.dict(os.environ):
        for name in LAUNCH_VARIABLES:
            os.environ.pop(name, None)
        os.environ.update(variables)
        try:
            yield
        finally:
            if torch.distributed.is_initialized():
                torch.distributed.destroy_process_group()


CommandLine = Callable[..., int]


@pytest.fixture(scope="session")
def command_line(tiny_config: Path) -> CommandLine:
    """`tokenformer train` in this process, for tests that need no process of their own; gives the exit status.

    Args:
        settings: "key=value" each, for `--set`.
        config: a file in place of the tiny run's.
        variables: of the environment.
    """

    def train(*settings: str, config: Path = tiny_config, variables: dict[str, str] | None = None) -> int:
        from tokenformer.cli import main

        with alone_in_this_process(**(variables or {})):
            return main(train_arguments(config, settings))

    return train


@pytest.fixture
def train_here(command_line: CommandLine, tmp_path: Path) -> Callable[..., Path]:
    """Trains in this process and gives the run's folder; `runs_folder` goes on with a run that is there."""

    def train(*settings: str, runs_folder: Path = tmp_path / "runs", **options) -> Path:
        assert command_line(*settings, f"general.runs_folder={runs_folder}", **options) == 0
        return runs_folder / RUN

    return train


LiveTrainer = Callable[..., AbstractContextManager]


@pytest.fixture(scope="session")
def live_trainer(tiny_config: Path, tmp_path_factory) -> LiveTrainer:
    """A context that gives a new `TokenformerTrainer` in this process, which has not trained yet."""

    @contextmanager
    def trainer(*settings: str):
        from tokenformer.trainer import bootstrap

        bootstrap()
        from tokenformer.trainer.cpu_host import ensure_process_group
        from tokenformer.trainer.prepared_run import PreparedRun
        from tokenformer.trainer.resume import starting_point
        from tokenformer.trainer.trainer import TokenformerTrainer, write_run_files

        with alone_in_this_process():
            ensure_process_group()
            runs_folder = tmp_path_factory.mktemp("live")
            run = PreparedRun.from_file(tiny_config, [*settings, f"general.runs_folder={runs_folder}"])
            start = starting_point(run)
            write_run_files(run, start.resolved_config)
            yield TokenformerTrainer(run, start)

    return trainer
