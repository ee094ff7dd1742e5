"""Scores from log-probabilities: accuracy with ties at one half, its standard error, and the share of ties."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from tokenformer.evaluation.items import Item
from tokenformer.evaluation.requests import Request, TextEncoder, encoded_requests
from tokenformer.evaluation.task_data import LoadedTask


@dataclass(frozen=True)
class Score:
    """The score of some items, or the unweighted mean of such scores.

    Args:
        n: items.
        accuracy: between 0 and 1; a tie for the first place of k texts counts 1 / k.
        stderr: standard error of the accuracy; None for a single item.
        ties: share of items in which the right text shares the first place.
        chance: accuracy of guessing.
    """

    n: int
    accuracy: float
    stderr: float | None
    ties: float
    chance: float


@dataclass(frozen=True)
class TaskScore:
    """The score of a task, of its groups and of its parts, and where the items of each part came from."""

    task: str
    version: int
    whole: Score
    groups: dict[str, Score]
    parts: dict[str, Score]
    origins: dict[str, str]


def points(log_probabilities: Sequence[float]) -> tuple[float, bool]:
    """The credit of an item, and whether the right text, which is the last one, shares the first place.

    A probability that is no number is no answer, and counts nothing.
    """
    best = max(log_probabilities)
    first = sum(value == best for value in log_probabilities)
    if log_probabilities[-1] != best or any(math.isnan(value) for value in log_probabilities):
        return 0.0, False
    return 1 / first, first > 1


def score_of(items: Sequence[Item], log_probabilities: Sequence[Sequence[float]]) -> Score:
    """The score of items, given the log-probabilities of the texts of each."""
    counted = [points(values) for values in log_probabilities]
    gained = np.array([gain for gain, _ in counted])
    return Score(
        n=len(items),
        accuracy=float(gained.mean()),
        stderr=float(gained.std(ddof=1) / math.sqrt(len(items))) if len(items) > 1 else None,
        ties=sum(is_tie for _, is_tie in counted) / len(items),
        chance=math.fsum(1 / len(item.choices) for item in items) / len(items),
    )


def mean_score(scores: Sequence[Score]) -> Score:
    """The unweighted mean of independent scores."""
    errors = [score.stderr for score in scores if score.stderr is not None]
    known = len(errors) == len(scores)
    return Score(
        n=sum(score.n for score in scores),
        accuracy=math.fsum(score.accuracy for score in scores) / len(scores),
        stderr=math.sqrt(math.fsum(error**2 for error in errors)) / len(scores) if known else None,
        ties=math.fsum(score.ties for score in scores) / len(scores),
        chance=math.fsum(score.chance for score in scores) / len(scores),
    )


class Scoring:
    """All texts of some tasks as requests to a model, and what the answers are worth.

    Raises, when made:
        UserError: a text is empty.
    """

    def __init__(self, tasks: Sequence[LoadedTask], encoder: TextEncoder, max_length: int | None):
        self.tasks = tasks
        items = [item for task in tasks for part in task.items.values() for item in part]
        texts = [(item.context, choice) for item in items for choice in item.choices]
        self.requests: list[Request] = encoded_requests(texts, encoder, max_length)

    @property
    def truncated(self) -> int:
        """Texts that were cut off at the left because the model reads no more."""
        return sum(request.dropped > 0 for request in self.requests)

    def scores(self, log_probabilities: Sequence[float]) -> list[TaskScore]:
        """The score of each task, given the log-probability of each request."""
        remaining = iter(log_probabilities)
        return [self._task_score(task, remaining) for task in self.tasks]

    def _task_score(self, loaded: LoadedTask, remaining) -> TaskScore:
        parts = {}
        for name, items in loaded.items.items():
            values = [[next(remaining) for _ in item.choices] for item in items]
            parts[name] = score_of(items, values)
        groups = {group: mean_score([parts[name] for name in names]) for group, names in loaded.task.groups.items()}
        task = loaded.task
        return TaskScore(task.task, task.version, mean_score(list(parts.values())), groups, parts, loaded.origins)
