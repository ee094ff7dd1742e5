"""Growth after a fixed amount of training."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from tokenformer.growth.triggers.losses import LossHistory
from tokenformer.growth.triggers.parameters import chosen_levels, next_level
from tokenformer.growth.triggers.progress import Progress

# What of the progress each list of levels is compared with, what it is called, and how both are written.
QUANTITIES = {
    "steps": ("step", "step", ",.0f"),
    "words": ("words", "words", ",.0f"),
    "tokens": ("tokens", "tokens", ",.0f"),
    "flops": ("flops", "FLOPs", ".4g"),
}


@dataclass(frozen=True)
class ScheduleTrigger:
    """A stage begins after so many steps, words, tokens or FLOPs of the run.

    Args:
        steps, words, tokens, flops: one number a stage, rising; exactly one of the four. FLOPs are those of training,
            forward and backward, of the whole run so far.
    """

    steps: list[int] = field(default_factory=list)
    words: list[float] = field(default_factory=list)
    tokens: list[float] = field(default_factory=list)
    flops: list[float] = field(default_factory=list)

    needs = ()

    def __post_init__(self):
        self._chosen()

    def _chosen(self) -> str:
        return chosen_levels("schedule", **{key: getattr(self, key) for key in QUANTITIES})

    @property
    def events(self) -> int:
        return len(getattr(self, self._chosen()))

    def reason(self, progress: Progress, event_steps: Sequence[int], losses: LossHistory) -> str | None:
        chosen = self._chosen()
        quantity, title, style = QUANTITIES[chosen]
        reached, level = getattr(progress, quantity), next_level(getattr(self, chosen), event_steps)
        if level is None or reached < level:
            return None
        return f"{title} {reached:{style}} >= {level:{style}}"
