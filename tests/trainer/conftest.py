"""One tiny corpus, one tiny config, and the runs that several tests look at."""

import functools
import os
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from unittest import mock

import pytest
import torch
import torch.distributed
import yaml

from tests.support.training.launching import LAUNCH_VARIABLES, start_torchrun, start_training, train_arguments
from tests.support.training.layout_runs import LAYOUTS, RECORDING_RANK, RUN_OF_SIX_STEPS
from tests.support.training.tiny_run import RUN, TWO_REPLICAS, prepare, tiny_content
from tokenformer.errors import UserError
from tokenformer.trainer import bootstrap

# Tests import Nanotron as other packages from here on.
bootstrap()


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
    if torch.cuda.is_available():
        pytest.skip("these tests compare runs bit by bit, on the CPU: set CUDA_VISIBLE_DEVICES to nothing")
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


@pytest.fixture(scope="session")
def layout_run(tiny_config: Path, tmp_path_factory) -> Callable[[str], Path]:
    """Gives the folder of a run of one of LAYOUTS, trained at most once; it also holds what its ranks held."""

    @functools.cache
    def train(name: str) -> Path:
        layout, folder = LAYOUTS[name], tmp_path_factory.mktemp(f"layout-{name}")
        settings = (*RUN_OF_SIX_STEPS, *layout.settings, *layout.model, f"general.runs_folder={folder}")
        start_training(tiny_config, *settings, ranks=layout.ranks, program=(RECORDING_RANK,)).expect_success()
        return folder / RUN

    return train


@contextmanager
def alone_in_this_process(**variables: str) -> Iterator[None]:
    """Training in the process of the tests: leaves neither a process group nor launch variables behind.

    One thread, as the processes that `launching` starts have: with another number sums are taken in another order.
    """
    assert not torch.distributed.is_initialized(), "an earlier test left its process group behind"
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    with mock.patch.dict(os.environ):
        for name in LAUNCH_VARIABLES:
            os.environ.pop(name, None)
        os.environ.update(variables)
        try:
            yield
        finally:
            torch.set_num_threads(threads)
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
        options: more words of the command line.
    """

    def train(
        *settings: str,
        config: Path = tiny_config,
        variables: dict[str, str] | None = None,
        options: tuple[str, ...] = (),
    ) -> int:
        from tokenformer.cli import main

        with alone_in_this_process(**(variables or {})):
            return main([*train_arguments(config, settings), *options])

    return train


@pytest.fixture
def train_here(command_line: CommandLine, tmp_path: Path) -> Callable[..., Path]:
    """Trains in this process and gives the run's folder; `runs_folder` goes on with a run that is there."""

    def train(*settings: str, runs_folder: Path = tmp_path / "runs", **options) -> Path:
        assert command_line(*settings, f"general.runs_folder={runs_folder}", **options) == 0
        return runs_folder / RUN

    return train


@pytest.fixture
def refusal(tiny_config: Path, tmp_path: Path) -> Callable[..., str]:
    """Why the tiny run with other settings cannot begin, or go on, in a folder."""

    def refusal(*settings: str, runs_folder: Path = tmp_path) -> str:
        from tokenformer.trainer.run.prepared_run import PreparedRun
        from tokenformer.trainer.run.start import starting_point

        with pytest.raises(UserError) as raised:
            starting_point(PreparedRun.from_file(tiny_config, [*settings, f"general.runs_folder={runs_folder}"]))
        return str(raised.value)

    return refusal


LiveTrainer = Callable[..., AbstractContextManager]


@pytest.fixture(scope="session")
def live_trainer(tiny_config: Path, tmp_path_factory) -> LiveTrainer:
    """A context that gives a new `TokenformerTrainer` in this process, which has not trained yet."""

    @contextmanager
    def trainer(*settings: str):
        from tokenformer.trainer.bridge.cpu_host import ensure_process_group
        from tokenformer.trainer.loop.trainer import TokenformerTrainer, write_run_files
        from tokenformer.trainer.run.prepared_run import PreparedRun
        from tokenformer.trainer.run.start import starting_point

        with alone_in_this_process():
            ensure_process_group()
            runs_folder = tmp_path_factory.mktemp("live")
            run = PreparedRun.from_file(tiny_config, [*settings, f"general.runs_folder={runs_folder}"])
            start = starting_point(run)
            write_run_files(run, start.resolved_config)
            yield TokenformerTrainer(run, start)

    return trainer
