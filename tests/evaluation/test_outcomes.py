"""Scores: ties count one half, the wrong text stands first, a model that knows nothing scores by chance."""

import math

import numpy as np
import pytest
import torch

from tokenformer.evaluation.items import FAST_SHARE, Item, fast_sample
from tokenformer.evaluation.networks import LogitsFunction, log_probabilities
from tokenformer.evaluation.outcomes import Score, Scoring, mean_score, points, score_of
from tokenformer.evaluation.requests import TextEncoder
from tokenformer.evaluation.task_data import load_task
from tokenformer.evaluation.task_files import find_tasks

VOCABULARY = 32
WORDS = TextEncoder(
    *[lambda texts: [[1 + len(word) for word in text.split()] for text in texts]] * 2,  # a word's token is its length
    prefix_token=0,
)
ZEROED = LogitsFunction(lambda ids: torch.zeros(*ids.shape, VOCABULARY))


def test_points():
    assert points([-2.0, -1.0]) == (1.0, False)
    assert points([-1.0, -2.0]) == (0.0, False)
    assert points([-1.0, -1.0]) == (0.5, True)
    assert points([-1.0, -3.0, -1.0, -1.0]) == (1 / 3, True)
    assert points([-1.0, -1.0, -2.0]) == (0.0, False)
    assert points([math.nan, -1.0]) == points([-1.0, math.nan]) == (0.0, False)


def test_accuracy_and_its_standard_error():
    items = [Item("", ("b", "a"))] * 4
    score = score_of(items, [[-2.0, -1.0], [-1.0, -1.0], [-1.0, -2.0], [-2.0, -1.0]])
    gained = np.array([1, 0.5, 0, 1])
    assert (score.n, score.accuracy, score.ties, score.chance) == (4, 0.625, 0.25, 0.5)
    assert score.stderr == pytest.approx(gained.std(ddof=1) / 2)


def test_a_mean_is_not_weighted_by_size():
    mean = mean_score([Score(10, 1.0, 0.3, 0.0, 0.5), Score(1000, 0.5, 0.4, 0.5, 0.2)])
    assert (mean.n, mean.accuracy, mean.ties, mean.chance) == (1010, 0.75, 0.25, 0.35)
    assert mean.stderr == pytest.approx(0.25)
    assert mean_score([Score(1, 1.0, None, 0.0, 0.5)]).stderr is None


@pytest.fixture(scope="module")
def adjunct_island(shared_data, tmp_path_factory):
    """A paradigm of BLiMP whose sentences are permutations of one another."""
    path = tmp_path_factory.mktemp("task") / "permutations.yaml"
    path.write_text(
        "{task: permutations, description: x, version: 1, data: {file: en/blimp/adjunct_island.jsonl.gz}, "
        "pairs: {good: sentence_good, bad: sentence_bad}}"
    )
    return load_task(find_tasks([str(path)])[0], shared_data / "eval", fast=False)


def test_a_zeroed_model_scores_one_half_where_texts_are_equally_long(adjunct_island):
    scoring = Scoring([adjunct_island], WORDS, None)
    values, _ = log_probabilities(ZEROED, scoring.requests)
    (score,) = scoring.scores(values)
    assert (score.whole.n, score.whole.accuracy, score.whole.ties) == (1000, 0.5, 1.0)


def test_a_zeroed_model_scores_by_length_and_ties_in_the_whole_of_blimp(shared_data):
    """A uniform distribution prefers the shorter text, and finds those of equal length equal: near 50, not near 84."""
    (task,) = find_tasks(["blimp"])
    scoring = Scoring([load_task(task, shared_data / "eval", fast=True)], WORDS, None)
    values, _ = log_probabilities(ZEROED, scoring.requests, batch_size=64)
    (score,) = scoring.scores(values)
    lengths = [len(request.tokens) for request in scoring.requests]
    gained = np.array(
        [(bad > good) + 0.5 * (bad == good) for bad, good in zip(lengths[::2], lengths[1::2], strict=True)]
    )
    assert score.whole.accuracy == pytest.approx(gained.mean(), abs=1e-12)
    assert 0.4 < score.whole.accuracy < 0.6


def test_the_fast_sample_is_a_fixed_tenth_with_every_stratum_in_its_share():
    items = [Item("", (f"bad {n}", f"good {n}"), stratum="abc"[n % 7 % 3]) for n in range(995)]
    sample = fast_sample(items, "name")
    assert sample == fast_sample(items, "name") != fast_sample(items, "other")
    assert len(sample) == math.ceil(995 / FAST_SHARE) == len(set(sample))
    for stratum in "abc":
        share = sum(item.stratum == stratum for item in items) / FAST_SHARE
        assert abs(sum(item.stratum == stratum for item in sample) - share) <= 1
    assert [items.index(item) for item in sample][:6] == [8, 23, 24, 29, 33, 52], "scores of different runs compare"
