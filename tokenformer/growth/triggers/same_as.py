"""Growth at the steps at which another run grew: for a control that shall differ in nothing but its order of text."""

from collections.abc import Sequence
from dataclasses import dataclass

from tokenformer.config.building import Checked
from tokenformer.config.keys import REQUIRED, key
from tokenformer.errors import UserError
from tokenformer.growth.triggers.losses import LossHistory
from tokenformer.growth.triggers.trigger import Progress


@dataclass(frozen=True)
class SameAsTrigger(Checked):
    """A stage begins after the step after which another run began it.

    The steps are read from the other run's folder when this run is prepared for the first time, and stand in this run's
    own config from then on. A trigger reads no folder, so `trainer.run.yoked_growth` does it.
    """

    run: str = key(REQUIRED, "folder of the finished run whose growth is repeated, such as runs/a")
    steps: list[int] | None = key(
        None, "steps after which that run grew; null: read from its folder", least=0, rising=True
    )

    name = "same_as"
    needs = ()

    def __post_init__(self):
        super().__post_init__()
        if self.steps == []:
            raise UserError("same_as: steps is empty, so there is no growth to repeat; set growth: null")

    @property
    def events(self) -> int:
        return len(self._known_steps())

    def reason(self, progress: Progress, event_steps: Sequence[int], losses: LossHistory) -> str | None:
        steps = self._known_steps()
        if len(event_steps) >= len(steps) or progress.step < steps[len(event_steps)]:
            return None
        return f"{self.run} grew after step {steps[len(event_steps)]:,}"

    def _known_steps(self) -> list[int]:
        if self.steps is None:
            raise UserError(f"same_as: the steps of {self.run} are not read yet")
        return self.steps
