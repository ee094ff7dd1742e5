"""The verbs that work on the YAML of a run."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tyro.conf import Positional

from tokenformer.cli.arguments import Assignments, Verified
from tokenformer.console import show


@dataclass(frozen=True)
class RunFile(Verified):
    """The options of `plan` and `train`."""

    config: Positional[Path]
    """A run's YAML, such as configs/tokenformer.yaml."""
    set: Assignments = ()
    """Another value for a key of the YAML."""


def _check_run(path: Path, assignments: Sequence[str]) -> None:
    """Before torch is imported: raises UserError for a mistake in the YAML, and where its corpus is missing."""
    from tokenformer.data.corpus import PreparedCorpus
    from tokenformer.run_config import load_run_config

    corpus = load_run_config(path, assignments).corpus_folder
    if not corpus.is_dir():
        PreparedCorpus.open(corpus)


def prepared_run(config: Path, assignments: Sequence[str]) -> Any:
    _check_run(config, assignments)
    from tokenformer.trainer.run.prepared_run import PreparedRun

    return PreparedRun.from_file(config, assignments)


@dataclass(frozen=True)
class Plan(RunFile):
    """Print the stages of a run before anything is trained: steps, words, sizes, cost and time.

    Example: tokenformer plan configs/tokenformer.yaml --set tokens.train_steps=1000

    Example: tokenformer plan configs/llama.yaml --resolved

    Example: tokenformer plan my.yaml --optimise experiments/results/english/records --flops 4e13
    """

    resolved: bool = False
    """Print the whole YAML of the run instead: what the file extends, and every default."""

    optimise: Path | None = None
    """Propose sizes and growth steps for a budget, by the records in this folder, which `compare` wrote."""
    flops: float | None = None
    """Budget in training FLOPs, for --optimise."""
    hours: float | None = None
    """Budget in hours on a machine like that of the records, for --optimise."""

    def __call__(self) -> None:
        if self.resolved:
            from tokenformer.run_config import resolved_yaml

            print(resolved_yaml(self.config, self.set), end="")
            return
        run = prepared_run(self.config, self.set)
        if self.optimise is not None:
            from tokenformer.experiments.prediction.optimise import proposed
            from tokenformer.experiments.records import final_records

            show(proposed(run, final_records(self.optimise), self.flops, self.hours))
            return
        from tokenformer.trainer.run.plan_table import plan_table

        show(plan_table(run))


@dataclass(frozen=True)
class Config:
    """Print a YAML to start a run from, with every key explained where it stands.

    Example: tokenformer config tokenformer > mine.yaml

    Example: tokenformer config llama --full > mine.yaml
    """

    model: Positional[str]
    """tokenformer or llama."""
    full: bool = False
    """Every key with its default, and not only the keys that a run needs."""

    def __call__(self) -> None:
        from tokenformer.run_config import starting_yaml

        print(starting_yaml(self.model, self.full), end="")


@dataclass(frozen=True)
class Train(RunFile):
    """Train the model that a YAML describes, or continue a stopped run. Results go to runs/NAME.

    Example: tokenformer train configs/tokenformer.yaml --set general.run=mine

    Example: torchrun --nproc-per-node 8 -m tokenformer train configs/tokenformer.yaml --set parallelism.dp=8
    """

    from_step: int | None = None
    """Go on after the checkpoint of this step, and not after the newest. Later steps are done again."""

    def __call__(self) -> None:
        _check_run(self.config, self.set)
        from tokenformer.trainer.loop.launch import train_from_file

        train_from_file(self.config, self.set, self.from_step)
