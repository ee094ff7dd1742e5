"""The steps of the trigger `same_as`: taken from the run that it names, and kept in the config of its own run."""

import dataclasses
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from tokenformer.config.added_sections import Growth
from tokenformer.config.sections import RunConfig
from tokenformer.errors import UserError
from tokenformer.growth.triggers import SameAsTrigger
from tokenformer.run_folder import keys
from tokenformer.run_folder.names import CONFIG, METRICS
from tokenformer.run_folder.record import RunRecord
from tokenformer.trainer.checkpoint.records import latest_checkpoint
from tokenformer.trainer.run.earlier_config import earlier_config


def with_yoked_steps(config: RunConfig, name: str) -> RunConfig:
    """The config with the steps of every `same_as` in its growth trigger.

    A run that has begun keeps the steps with which it began, so that it goes on when the other run is gone.

    Args:
        name: the config's file, for errors.

    Raises:
        UserError: the run that is named is missing, is not finished, did not grow, or grew at steps that this run's
            other keys of growth do not allow.
    """
    if config.growth is None or not any(_open_sections(config.growth.trigger)):
        return config
    earlier = earlier_config(config.run_folder, latest_checkpoint(config.checkpoints_folder))
    kept = _kept_steps(earlier.growth.trigger) if earlier is not None and earlier.growth is not None else {}
    try:
        trigger = _filled(config.growth.trigger, kept, config.growth)
    except UserError as error:
        raise UserError(f"{name}: growth.trigger: same_as: {error}") from None
    return dataclasses.replace(config, growth=dataclasses.replace(config.growth, trigger=trigger))


def _sections(trigger: dict[str, Any]) -> Iterator[Mapping[str, Any]]:
    """Every section `same_as` in a trigger's section."""
    if isinstance(trigger, dict):
        if trigger.get("name") == SameAsTrigger.name:
            yield trigger
        for part in trigger.get("of") or []:
            yield from _sections(part)


def _open_sections(trigger: Any) -> Iterator[Mapping[str, Any]]:
    return (section for section in _sections(trigger) if section.get("steps") is None)


def _kept_steps(trigger: Any) -> dict[str, list[int]]:
    """Run -> the steps that an earlier config holds of it."""
    return {section["run"]: section["steps"] for section in _sections(trigger) if section.get("steps") is not None}


def _filled(trigger: Mapping[str, Any], kept: Mapping[str, list[int]], growth: Growth) -> dict[str, Any]:
    """A trigger's section with the steps of every `same_as` in it."""
    filled = dict(trigger)
    if "of" in filled:
        filled["of"] = [_filled(part, kept, growth) for part in filled["of"]]
    if filled.get("name") == SameAsTrigger.name and filled.get("steps") is None:
        filled["steps"] = kept.get(filled["run"]) or growth_steps(Path(filled["run"]))
        _check_allowed(filled["run"], filled["steps"], growth)
    return filled


def growth_steps(folder: Path) -> list[int]:
    """The steps after which a finished run grew.

    Raises:
        UserError: there is no such run, it is not finished, or it did not grow.
    """
    record = RunRecord.open(folder)
    done, steps = record.lines[-1][keys.STEP], (record.config.get("tokens") or {}).get("train_steps")
    if not isinstance(steps, int) or done < steps:
        raise UserError(
            f"{folder / METRICS} ends after step {done} of {steps}, and the run may grow again; finish it with "
            f"`tokenformer train {folder / CONFIG}`"
        )
    events = [event.step for event in record.growth_events]
    if not events:
        raise UserError(f"the run {folder} did not grow; set growth: null, or name a run that did")
    return events


def _check_allowed(run: str, steps: list[int], growth: Growth) -> None:
    """The other keys of growth let the model grow at each of the steps."""
    before = -growth.minimum_steps_between
    for step in steps:
        limits = {
            "earliest_step": step >= growth.earliest_step,
            "latest_step": growth.latest_step is None or step <= growth.latest_step,
            "minimum_steps_between": step - before >= growth.minimum_steps_between,
        }
        broken = [limit for limit, holds in limits.items() if not holds]
        if broken:
            raise UserError(
                f"{run} grew after step {step}, and growth.{broken[0]} {getattr(growth, broken[0])} does not allow "
                f"that; set it as in {run}"
            )
        before = step
