"""Sizes and growth steps for a budget, by the law that the records at hand support: `tokenformer plan --optimise`."""

import dataclasses
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from tokenformer.errors import UserError
from tokenformer.experiments.answer.text_table import TextTable
from tokenformer.experiments.matching import SIZE_KEYS
from tokenformer.experiments.prediction.law import Course, Law, fitted
from tokenformer.experiments.records import Record
from tokenformer.model.flops import model_size

SCALES = 2.0 ** np.arange(-2, 3.01, 0.5)
"""Sizes that are looked at, in multiples of the config's own."""
GROWS_AT = (0.1, 0.2, 0.3, 0.4, 0.5)
"""Shares of the steps at which growth is looked at; later, new parameters have too little left to learn."""
FACTORS = (2.0, 4.0)
LEAST_WEIGHT = 30.0
"""Draws that a forecast has to rest on."""


@dataclass(frozen=True)
class Proposal:
    """A run within the budget: the sizes of its stages as multiples of the config's, where it grows, its course."""

    kind: str
    scales: tuple[float, ...]
    shares: tuple[float, ...]
    steps: int
    course: Course


def proposed(run: Any, records: list[Record], flops: float | None = None, hours: float | None = None) -> str:
    """The best run of each kind within a budget, with its forecast, as it is to be printed.

    Args:
        run: a `PreparedRun`, whose model is scaled.
        flops, hours: the budget, one of the two; hours are of a machine as fast as that of the records.

    Raises:
        UserError: no budget or two are given, or the records tell too little.
    """
    if flops is None and hours is not None:
        flops = hours * 3600 * float(np.median([record["flops"] / record["seconds"] for record in records]))
    elif flops is None or hours is not None:
        raise UserError("how much may it cost? Give --flops or --hours, one of the two")
    law = fitted(records)
    best: dict[str, Proposal] = {}
    for proposal in _candidates(run, flops):
        known = best.get(proposal.kind)
        if known is None or law.weight @ law.loss(proposal.course) < law.weight @ law.loss(known.course):
            best[proposal.kind] = proposal
    if "one size" not in best:
        raise UserError(f"{flops:.3g} FLOPs are less than a step of the smallest model: allow more")
    return _text(law, records, best, flops, run)


def _candidates(run: Any, flops: float) -> Iterator[Proposal]:
    """Runs that cost what is allowed: one size, one growth, two growths."""
    for scale in SCALES:
        yield from _proposal(run, flops, "one size", (scale,), ())
        for factor in FACTORS:
            for share in GROWS_AT:
                yield from _proposal(run, flops, "one growth", (scale, scale * factor), (share,))
        for index, first in enumerate(GROWS_AT):
            for second in GROWS_AT[index + 1 :]:
                yield from _proposal(run, flops, "two growths", (scale, 2 * scale, 4 * scale), (first, second))


def _proposal(run: Any, flops: float, kind: str, scales: tuple[float, ...], shares: tuple[float, ...]):
    sizes = [_size(run, float(scale)) for scale in scales]
    length, per_step = run.config.tokens.sequence_length, run.config.tokens_per_step
    parts = np.diff([0.0, *shares, 1.0])
    cost = sum(part * size.training_flops_per_token(length) for part, size in zip(parts, sizes, strict=True)) * per_step
    steps = int(flops // cost)
    if steps < 10 or steps * per_step > _tokens_at_hand(run):
        return
    tokens = tuple(float(part) * steps * per_step for part in parts)
    course = Course(tuple(float(size.parameters) for size in sizes), tokens)
    yield Proposal(kind, tuple(map(float, scales)), shares, steps, course)


def _tokens_at_hand(run: Any) -> float:
    """Tokens that may be read: each once, unless the config allows more epochs."""
    return float(run.corpus.train.tokens.sum()) * (run.config.curriculum.budget.max_epochs or 1)


def _size(run: Any, scale: float):
    keys = SIZE_KEYS[run.config.model_type]
    given = {key: getattr(run.base_model_config, key) for key in keys}
    scaled = {key: max(1, round(value * scale)) for key, value in given.items()}
    return model_size(dataclasses.replace(run.base_model_config, **scaled))


def _text(law: Law, records: list[Record], best: dict[str, Proposal], flops: float, run: Any) -> str:
    keys = SIZE_KEYS[run.config.model_type]
    reference = law.loss(best["one size"].course)
    rows = []
    for kind, proposal in best.items():
        mean, low, high = law.forecast(proposal.course)
        gain = law.loss(proposal.course) - reference
        better = float(law.weight @ (gain < 0))
        given = [getattr(run.base_model_config, key) for key in keys]
        sizes = " -> ".join("/".join(str(round(value * scale)) for value in given) for scale in proposal.scales)
        grows = ", ".join(str(round(share * proposal.steps)) for share in proposal.shares)
        sure = "" if kind == "one size" else f"{better:.0%}"
        numbers = (f"{mean:.3f}", f"{low:.3f} to {high:.3f}", f"{law.weight @ gain:+.3f}")
        rows.append((kind, sizes, grows, f"{proposal.steps:,}", *numbers, sure))
    headings = ("kind", " / ".join(keys), "grows after", "steps", "forecast", "80 % interval", "against one size")
    headings = (*headings, "better in")
    return "\n".join([TextTable(headings, tuple(rows)).markdown(), "", *_how_sure(law, records, flops, run)])


def _how_sure(law: Law, records: list[Record], flops: float, run: Any) -> list[str]:
    """The ground of the forecast, and where the forecast leaves it."""
    dearest = max(record["flops"] for record in records)
    grown = sum(bool(record["growth"]) for record in records)
    lines = [
        f"Budget: {flops:.3g} training FLOPs. The law is fitted to {len(records)} runs, {grown} of which grew; "
        f"{law.effective_draws:.0f} of the laws that were drawn fit them. 'better in' is the share of laws in which "
        "growing wins."
    ]
    if not grown:
        lines.append("No run of the records grew: what a token before growth is worth after it is a guess.")
    if flops > 2 * dearest or flops < min(record["flops"] for record in records) / 2:
        lines.append(f"The budget is {flops / dearest:.2g} times that of the dearest run: this is an extrapolation.")
    if law.effective_draws < LEAST_WEIGHT:
        lines.append("Few of the laws that were drawn fit the records: do not rely on the intervals.")
    return lines
