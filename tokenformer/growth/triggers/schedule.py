"""Growth after a fixed amount of training."""

from collections.abc import Sequence
from dataclasses import dataclass

from tokenformer.config.building import Checked
from tokenformer.config.keys import key
from tokenformer.growth.triggers.levels import chosen_levels, next_level
from tokenformer.growth.triggers.losses import LossHistory
from tokenformer.growth.triggers.progress import Progress

# What of the progress each list of levels is compared with, what it is called, and how both are written.
QUANTITIES = {
    "steps": ("step", "step", ",.0f"),
    "words": ("words", "words", ",.0f"),
    "tokens": ("tokens", "tokens", ",.0f"),
    "flops": ("flops", "FLOPs", ".4g"),
}


@dataclass(frozen=True)
class ScheduleTrigger(Checked):
    """A stage begins after so many steps, words, tokens or FLOPs of the run.

    Exactly one of the four lists is given, one number a stage.
    """

    steps: list[int] = key([], "training steps", least=0, rising=True)
    words: list[float] = key([], "words read, repeats counted", least=0, rising=True)
    tokens: list[float] = key([], "tokens read", least=0, rising=True)
    flops: list[float] = key([], "training FLOPs of the whole run so far", least=0, most=1e30, rising=True)

    name = "schedule"
    needs = ()

    def __post_init__(self):
        super().__post_init__()
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
