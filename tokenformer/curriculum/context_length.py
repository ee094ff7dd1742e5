"""A context that gets longer while the run goes on (Edman and Bylinina 2023; GPT-BERT, arXiv:2410.24159).

The samples of the plan stay as long as they are; a step cuts them into pieces of the present length and trains on these
as on so many shorter samples. So a step always reads the same tokens, and each of them is a target once.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from tokenformer.errors import UserError


@dataclass(frozen=True)
class ContextSchedule:
    """The length of the context at each step.

    Attributes:
        lengths: tokens of context in each phase.
        ends: steps done when each phase ends, rising; the last is the number of steps of the run.
    """

    lengths: tuple[int, ...]
    ends: tuple[int, ...]

    @classmethod
    def of(
        cls, phases: Sequence[tuple[int, float | None]] | None, sequence_length: int, steps: int
    ) -> "ContextSchedule":
        """The schedule of a run.

        Args:
            phases: length, and progress (a fraction of the run's steps) until which it holds, of each phase; the last
                holds until the end. None is the sequence length all along.

        Raises UserError for a length that does not divide the sequence length, and for phases that do not follow one
        another or have no step.
        """
        if phases is None:
            return cls((sequence_length,), (steps,))
        if not phases:
            raise UserError("context_length: give at least one phase, or null")
        for length, _ in phases:
            if length < 1 or sequence_length % length:
                raise UserError(
                    f"context_length: a length of {length} does not divide tokens.sequence_length {sequence_length}"
                )
        points = [until for _, until in phases]
        if points[-1] not in (None, 1):
            raise UserError("context_length: the last phase holds until the end of the run; give it no until")
        inner = [until for until in points[:-1] if until is not None and 0 < until < 1]
        if len(inner) < len(points) - 1:
            raise UserError("context_length: every phase but the last needs until, a fraction between 0 and 1")
        ends = [0, *(round(until * steps) for until in inner), steps]
        if any(end <= start for start, end in zip(ends, ends[1:], strict=False)):
            raise UserError(
                f"context_length: the phases end at steps {', '.join(map(str, ends[1:]))}, and each has to end later "
                "than the one before"
            )
        return cls(tuple(length for length, _ in phases), tuple(ends[1:]))

    def length_at(self, step: int) -> int:
        """Tokens of context in the step that is made when `step` steps are done."""
        for length, end in zip(self.lengths, self.ends, strict=True):
            if step < end:
                return length
        return self.lengths[-1]

    def spans(self, start: int, end: int) -> Iterator[tuple[int, int]]:
        """Length and number of steps of each phase within the steps from `start` to before `end`."""
        begin = 0
        for length, phase_end in zip(self.lengths, self.ends, strict=True):
            steps = min(end, phase_end) - max(start, begin)
            if steps > 0:
                yield length, steps
            begin = phase_end
