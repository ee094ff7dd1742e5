"""The trigger `same_as` holds the steps of another run."""

import pytest

from tokenformer.config.building import build_named
from tokenformer.errors import UserError
from tokenformer.growth.triggers import TRIGGERS, LossHistory, Progress, SameAsTrigger


def reason(trigger: SameAsTrigger, step: int, event_steps: list[int]) -> str | None:
    return trigger.reason(Progress(step, 0, 0, 0, 0, 0, 0), event_steps, LossHistory())


def test_it_grows_after_the_steps_of_the_other_run_and_says_whose_they_are():
    trigger = SameAsTrigger("runs/a", [3, 7])
    events: list[int] = []
    for step in range(12):
        if reason(trigger, step, events):
            events.append(step)
    assert events == [3, 7] and trigger.events == 2
    assert reason(trigger, 8, [3]) == "runs/a grew after step 7"


def test_without_steps_nobody_can_ask_it():
    section = {"name": "same_as", "run": "runs/a"}
    trigger = build_named(section, TRIGGERS)
    with pytest.raises(UserError, match="runs/a are not read yet"):
        _ = trigger.events
    with pytest.raises(UserError, match="growth: null"):
        build_named(section | {"steps": []}, TRIGGERS)
    with pytest.raises(UserError, match="steps"):
        build_named(section | {"steps": [7, 3]}, TRIGGERS)
