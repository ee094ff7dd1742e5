"""How fast a loss falls, from points of its history."""

import math
from collections.abc import Sequence

from tokenformer.growth.triggers.losses import LossPoint

PETAFLOP = 1e15


def moving_averages(values: Sequence[float], count: int) -> list[float]:
    """The mean of every `count` values that follow one another: [n] gives [n - count + 1]."""
    return [math.fsum(values[end - count : end]) / count for end in range(count, len(values) + 1)]


def improvements(points: Sequence[LossPoint], smoothing: int) -> list[float]:
    """Relative fall of the smoothed loss a petaflop of training, from each smoothed point to the next.

    With s and f the means of the loss and of the FLOPs over `smoothing` points, (s - s') / s / (f' - f) * 1e15;
    negative where the loss rises, 0 where it is 0 already.
    """
    losses = moving_averages([point.loss for point in points], smoothing)
    petaflops = moving_averages([point.flops / PETAFLOP for point in points], smoothing)
    rates = []
    for index, loss in enumerate(losses[:-1]):
        fall = (loss - losses[index + 1]) / loss if loss != 0 else 0.0
        rates.append(fall / (petaflops[index + 1] - petaflops[index]))
    return rates
