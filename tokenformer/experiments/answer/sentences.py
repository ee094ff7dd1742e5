"""The answers in words: no sentence says more than its contrast shows."""

from tokenformer.experiments.analysis import Analysis, ContrastFound
from tokenformer.experiments.speed_up import SpeedUpFound


def answer(analysis: Analysis) -> str:
    """The answer to the grid's question: the sentence of its first confirmatory contrast, or of its first."""
    confirmatory = [found for found in analysis.contrasts if found.contrast.confirmatory] or analysis.contrasts
    return contrast_sentence(confirmatory[0], analysis) if confirmatory else "The grid has no contrast."


def contrast_sentence(found: ContrastFound, analysis: Analysis) -> str:
    """The verdict with its interval."""
    contrast, content = found.contrast, analysis.grid.content
    first, second = contrast.first, contrast.second
    if found.difference is None:
        return f"{first} and {second} are not compared yet: {len(found.missing)} runs are missing."
    difference, p, equivalence_p = found.difference, found.corrected_p, found.equivalence_p
    if difference.low is None or difference.high is None or p is None or equivalence_p is None:
        return f"{first} ended {_away(difference.mean, second)} with one seed, which says nothing about others."
    interval = f"difference {difference.mean:+.4f}, interval {difference.low:+.4f} to {difference.high:+.4f}"
    numbers = f"{interval}, {difference.n} pairs, p {_p(p)}"
    numbers += " after Holm" if contrast.confirmatory else ", not corrected"
    if p < content.significance:
        clear = difference.high < -content.least_gain or difference.low > content.least_gain
        size = "" if clear else f"; it may be smaller than {content.least_gain} nats, which would not count as one"
        if equivalence_p < content.significance:
            size += f"; within {content.equivalent} nats, the two still count as equal"
        better = "better" if difference.mean < 0 else "worse"
        return f"{first} is {better} than {second} by {abs(difference.mean):.4f} nats a token ({numbers}){size}."
    if equivalence_p < content.significance:
        return (
            f"{first} and {second} are equal to within {content.equivalent} nats a token ({numbers}; "
            f"equivalence p {_p(equivalence_p)})."
        )
    return (
        f"The runs do not tell {first} from {second} ({numbers}); so many pairs find a difference of "
        f"{found.detectable:.4f} nats four times in five."
    )


def _away(mean: float, second: str) -> str:
    return f"{abs(mean):.4f} nats a token {'below' if mean < 0 else 'above'} {second}"


def _p(value: float) -> str:
    return "< 0.0001" if value < 0.0001 else f"{value:.4f}"


def speed_up_sentence(found: SpeedUpFound) -> str:
    """The ratio with its interval, or every reason why there is none."""
    baseline = " and ".join(found.baseline)
    if found.refusals:
        return f"{found.arm} against {baseline}: no speed-up is given. Reasons: {'; '.join(found.refusals)}."
    seconds = "" if found.seconds is None else f"; in seconds of these runs {found.seconds:.2f}"
    return (
        f"{baseline} would need {found.ratio:.2f} times the training FLOPs of {found.arm} for its loss (95 % interval "
        f"{found.low:.2f} to {found.high:.2f} over seeds, by {found.curve}{seconds}). FLOPs are those of the whole "
        f"run, its small stages included; the tuning of these arms took {found.tuning_flops:.2g} more."
    )
