"""Measures the final weights of a run: the loss of every held-out document, and benchmarks item by item."""

import argparse
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from tokenformer.config.loading import load_config
from tokenformer.data.corpus import PreparedCorpus
from tokenformer.errors import UserError
from tokenformer.evaluation.networks import log_probabilities
from tokenformer.evaluation.outcomes import Scoring, TaskScore, points
from tokenformer.evaluation.runners.opened_model import opened_model
from tokenformer.evaluation.runners.options import ModelSource
from tokenformer.evaluation.task_data import data_folder, load_task
from tokenformer.evaluation.task_files import find_tasks
from tokenformer.files import write_atomically
from tokenformer.trainer.checkpoint.checkpoint_losses import CheckpointLosses
from tokenformer.trainer.checkpoint.records import latest_checkpoint

DIFFICULTIES = 5


def measured_outcomes(run_folder: Path, tasks: Sequence[str], data: str | None, fast: bool) -> dict[str, Any]:
    """The part of a record that needs the weights.

    Raises:
        UserError: the run has no checkpoint, or a task's data is not there.
    """
    config = load_config(run_folder / "config.yaml")
    checkpoint = latest_checkpoint(config.checkpoints_folder)
    if checkpoint is None:
        raise UserError(f"{config.checkpoints_folder} holds no checkpoint, so nothing can be measured: train the run")
    corpus = PreparedCorpus.open(config.corpus_folder)
    return {
        "corpus": corpus.fingerprint,
        "documents": _document_losses(checkpoint, corpus),
        "benchmarks": _benchmarks(checkpoint, tasks, data, fast) if tasks else {},
    }


def _document_losses(checkpoint: Path, corpus: PreparedCorpus) -> dict[str, Any]:
    """Nats and tokens of the held-out documents, their sources, and their level of difficulty from 0, the easiest."""
    table = corpus.validation
    texts = [table.shards.document_tokens(document).tolist() for document in range(len(table))]
    nats, tokens = CheckpointLosses(checkpoint).of_tokens(texts)
    ranks = np.argsort(np.argsort(table.complexity, kind="stable"), kind="stable")
    return {
        "nats": [round(value, 3) for value in nats.tolist()],
        "tokens": tokens.tolist(),
        "source": table.source.tolist(),
        "sources": corpus.sources,
        "difficulty": (ranks * DIFFICULTIES // len(table)).tolist(),
        "difficulties": DIFFICULTIES,
    }


def _benchmarks(checkpoint: Path, tasks: Sequence[str], data: str | None, fast: bool) -> dict[str, Any]:
    loaded = [load_task(task, data_folder(data), fast) for task in find_tasks(tasks)]
    with opened_model(ModelSource(model=str(checkpoint))) as model:
        scoring = Scoring(loaded, model.encoder, model.network.max_length)
        found, _ = log_probabilities(model.network, scoring.requests)
    remaining = iter(found)
    items = {
        task.task.task: {
            name: "".join(_sign([next(remaining) for _ in item.choices]) for item in part)
            for name, part in task.items.items()
        }
        for task in loaded
    }
    return {score.task: _as_record(score, items[score.task]) for score in scoring.scores(found)}


def _sign(log_probabilities: Sequence[float]) -> str:
    gain, is_tie = points(log_probabilities)
    return "t" if is_tie else str(int(gain))


def _as_record(score: TaskScore, items: dict[str, str]) -> dict[str, Any]:
    return {
        "accuracy": score.whole.accuracy,
        "chance": score.whole.chance,
        "groups": {name: group.accuracy for name, group in score.groups.items()},
        "parts": {name: {"accuracy": part.accuracy, "items": items[name]} for name, part in score.parts.items()},
    }


def main() -> None:
    """Measures one run in a process of its own: RUN OUTPUT [--tasks TASK ...] [--data FOLDER] [--all]."""
    parser = argparse.ArgumentParser(description="Measure the final weights of a run, for `tokenformer compare`.")
    parser.add_argument("run", type=Path)
    parser.add_argument("output", type=Path)
    parser.add_argument("--tasks", nargs="*", default=[])
    parser.add_argument("--data")
    parser.add_argument("--all", action="store_true", help="all items, not the fast sample")
    given = parser.parse_args()
    found = measured_outcomes(given.run, given.tasks, given.data, not given.all)
    write_atomically(given.output, json.dumps(found))


if __name__ == "__main__":
    main()
