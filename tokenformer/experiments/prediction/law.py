"""Loss as a function of size and words, with growth, fitted to the records of finished runs, and how sure it is.

A model of N parameters that has read D tokens, its learning rate decayed, has the loss L(N, D) = E + A N^-a + B D^-b
(Hoffmann et al. 2022, arXiv:2203.15556, equation 2). A grown model is where its loss is: after growth it goes on as a
model of the new size would from the number of tokens at which that one has the present loss. A factor g, fitted to
grown runs, says how many tokens a token read before growth is worth then.

A handful of runs does not determine E, a and b. They are drawn from wide ranges, A, B and g are fitted to the records
for each draw, and draws are weighed by how well they fit: what the records leave open shows as a wide forecast.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from tokenformer.errors import UserError
from tokenformer.experiments.records import Record

DRAWS = 4000
FLOOR = (0.3, 0.9)
"""E as a share of the lowest loss seen."""
SIZE_EXPONENT, TOKENS_EXPONENT = (0.15, 0.6), (0.15, 0.6)
WORTH = (0.3, 1.5)
"""Range of g."""
DEVIATION = 0.02
"""Nats: how far the law itself may be off, beyond the noise of seeds."""


@dataclass(frozen=True)
class Course:
    """How a run goes: parameters and tokens of each stage.

    Args:
        parameters: of each stage.
        tokens: that each stage reads.
    """

    parameters: tuple[float, ...]
    tokens: tuple[float, ...]

    @classmethod
    def of(cls, record: Record) -> "Course":
        """The course of a finished run."""
        events = record["growth"]
        per_step = record["tokens"] / record["steps"]
        edges = [0, *(event["step"] for event in events), record["steps"]]
        sizes = [*(event["parameters_before"] for event in events), record["parameters"]]
        return cls(tuple(map(float, sizes)), tuple(float(step) * per_step for step in np.diff(edges)))


@dataclass(frozen=True)
class Law:
    """A weighted set of laws: float64 [draws] each, the weights with sum 1."""

    floor: np.ndarray
    size_factor: np.ndarray
    size_exponent: np.ndarray
    tokens_factor: np.ndarray
    tokens_exponent: np.ndarray
    worth: np.ndarray
    weight: np.ndarray

    def loss(self, course: Course) -> np.ndarray:
        """float64 [draws]: the loss at the end of a course."""
        return _loss(course, *self._draws)

    @property
    def _draws(self) -> tuple[np.ndarray, ...]:
        factors = (self.size_factor, self.size_exponent, self.tokens_factor, self.tokens_exponent)
        return (self.floor, *factors, self.worth)

    def forecast(self, course: Course, confidence: float = 0.8) -> tuple[float, float, float]:
        """Mean loss and the ends of its interval, the law's own deviation included."""
        losses = self.loss(course)
        mean = float(self.weight @ losses)
        order = np.argsort(losses)
        cumulative = np.cumsum(self.weight[order])
        shares = ((1 - confidence) / 2, (1 + confidence) / 2)
        ends = [losses[order][np.searchsorted(cumulative, share)] for share in shares]
        return mean, float(ends[0]) - DEVIATION, float(ends[1]) + DEVIATION

    @property
    def effective_draws(self) -> float:
        """How many equally weighted draws the forecast rests on."""
        return float(1 / (self.weight**2).sum())


def _loss(course: Course, floor, size_factor, size_exponent, tokens_factor, tokens_exponent, worth) -> np.ndarray:
    seen = np.zeros_like(floor)
    previous = np.zeros_like(floor)
    for stage, (parameters, tokens) in enumerate(zip(course.parameters, course.tokens, strict=True)):
        of_size = size_factor * parameters**-size_exponent
        if stage:
            # Where the larger model has the loss that the smaller one got to, or would if it read no more.
            left = np.maximum(previous - floor - of_size, 1e-9)
            seen = worth * np.minimum((tokens_factor / left) ** (1 / tokens_exponent), seen)
        seen = seen + tokens
        previous = floor + of_size + tokens_factor * np.maximum(seen, 1.0) ** -tokens_exponent
    return previous


def fitted(records: Sequence[Record], seed: int = 0) -> Law:
    """The law of these records, of runs that are decayed.

    Raises:
        UserError: the runs that keep their size do not differ in size or in tokens, so that there is nothing to fit.
    """
    fixed = [record for record in records if not record["growth"]]
    grown = [record for record in records if record["growth"]]
    if len({record["parameters"] for record in fixed}) < 2 or len({record["steps"] for record in fixed}) < 2:
        raise UserError(
            "the records do not tell how loss depends on size and words: make runs of two sizes and of two lengths, "
            "such as the arms M0, L0f and L0w of experiments/english.yaml"
        )
    generator = np.random.default_rng(seed)
    losses = np.array([record["outcome"] for record in fixed])
    floor = losses.min() * generator.uniform(*FLOOR, DRAWS)
    size_exponent = generator.uniform(*SIZE_EXPONENT, DRAWS)
    tokens_exponent = generator.uniform(*TOKENS_EXPONENT, DRAWS)
    worth = generator.uniform(*WORTH, DRAWS)
    size = np.array([record["parameters"] for record in fixed], dtype=np.float64)
    tokens = np.array([record["tokens"] for record in fixed], dtype=np.float64)
    size_factor, tokens_factor = _linear(losses - floor[:, None], size, size_exponent, tokens, tokens_exponent)
    draws = (floor, size_factor, size_exponent, tokens_factor, tokens_exponent, worth)
    squares = sum((_loss(Course.of(record), *draws) - record["outcome"]) ** 2 for record in (*fixed, *grown))
    squares = np.where((size_factor > 0) & (tokens_factor > 0), squares, np.inf)
    likelihood = np.exp(-(squares - squares.min()) / (2 * DEVIATION**2))
    return Law(*draws, weight=likelihood / likelihood.sum())


def _linear(rest, size, size_exponent, tokens, tokens_exponent) -> tuple[np.ndarray, np.ndarray]:
    """A and B of each draw, by least squares: float64 [draws] each.

    Args:
        rest: float64 [draws, runs], losses above the floor.
    """
    first, second = size ** -size_exponent[:, None], tokens ** -tokens_exponent[:, None]
    ff, fs, ss = (first * first).sum(1), (first * second).sum(1), (second * second).sum(1)
    fr, sr = (first * rest).sum(1), (second * rest).sum(1)
    determinant = ff * ss - fs**2
    return (ss * fr - fs * sr) / determinant, (ff * sr - fs * fr) / determinant
