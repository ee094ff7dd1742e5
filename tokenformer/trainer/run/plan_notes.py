"""The notes of `tokenformer plan` under its table: what the numbers mean, and what may not be meant.

What may not be meant is also said when training starts.
"""

from collections.abc import Iterable

from tokenformer.growth.policy import GrowthPolicy
from tokenformer.growth.triggers import PlateauTrigger
from tokenformer.growth.triggers.combined import single_triggers
from tokenformer.trainer.run.planned_reading import planned_reading
from tokenformer.trainer.run.prepared_run import PreparedRun, Stage


def plan_notes(run: PreparedRun, stages: list[Stage], seconds_per_step: list[float]) -> list[str]:
    """The lines under the table.

    Args:
        seconds_per_step: estimated for each stage.
    """
    notes = [
        f"Complexity is {run.corpus.measure} in {run.corpus.measure_unit}. {_about_text(run)}",
        *filter(None, [_about_context(run), _about_ladder(run)]),
        "Time is an estimate from a short measurement of one layer on this machine.",
    ]
    if run.growth is None:
        no_section = run.config.growth is None
        reason = "the config has no growth section" if no_section else "there is no operator for its type"
        return [*notes, f"The model keeps its size: {reason}."]
    if any(stage.step is None for stage in stages):
        notes += _about_losses(run, run.growth, stages, seconds_per_step)
    return notes + growth_notes(run, run.growth, stages)


def growth_notes(run: PreparedRun, policy: GrowthPolicy, stages: list[Stage]) -> list[str]:
    """Notes on growth: events that never come, or that fall outside the constant part of the learning rate."""
    warnings = [_missing_events(policy, stages), *(_schedule_warning(run, policy, stage) for stage in stages[1:])]
    return [f"Note: {warning}." for warning in dict.fromkeys(warnings) if warning]


def _about_text(run: PreparedRun) -> str:
    """Words that are read; by source where there are shares of sources."""
    reading = planned_reading(run)
    sentence = (
        f"The plan reads {reading.documents:,} documents with {reading.unique_words:,} words, {reading.epochs:.2f} "
        f"epochs of them: {reading.words:,.0f} words with repeats."
    )
    if run.config.curriculum.mixture is None:
        return sentence
    parts = (
        f"{name} {100 * source.share:.1f} % of the text ({source.epochs:.2f} epochs)"
        for name, source in reading.sources.items()
    )
    return f"{sentence} By source: {', '.join(parts)}."


def _about_context(run: PreparedRun) -> str | None:
    if run.config.curriculum.context_length is None:
        return None
    phases = zip(run.context.lengths, run.context.ends, strict=True)
    return f"Context: {', '.join(f'{length} tokens until step {end:,}' for length, end in phases)}."


def _about_ladder(run: PreparedRun) -> str | None:
    if not run.config.checkpoints.babylm_ladder:
        return None
    if not run.rungs:
        return "The run ends before the first rung of the BabyLM ladder, 1M words."
    rungs = ", ".join(f"{words // 10**6}M words after step {step:,}" for step, words in run.rungs.items())
    return f"Checkpoints of the BabyLM ladder: {rungs}."


def _missing_events(policy: GrowthPolicy, stages: list[Stage]) -> str | None:
    events = policy.events
    missing = events - (len(stages) - 1)
    if not missing:
        return None
    if not policy.trigger.needs:
        return f"{missing} of {events} growth events never come; lower their levels"
    return (
        f"{missing} of {events} growth events never come, whatever the losses are: the run is too short for them, or "
        "measures its losses too seldom"
    )


def _schedule_warning(run: PreparedRun, policy: GrowthPolicy, stage: Stage) -> str | None:
    """Growth wants a constant learning rate: neither warm-up nor decay."""
    schedule = run.config.optimizer.learning_rate_scheduler
    warmup, starting_step = schedule.lr_warmup_steps, schedule.lr_decay_starting_step
    decay = warmup if starting_step is None else starting_step
    decays = schedule.min_decay_lr is not None and schedule.lr_decay_steps != 0
    if stage.step is not None:
        if stage.step < warmup:
            return f"the growth after step {stage.step} falls into the warm-up of {warmup} steps"
        is_late = decays and stage.step >= decay
        return f"the growth after step {stage.step} falls into the decay of the learning rate" if is_late else None
    if stage.earliest_step < warmup:
        return f"a growth may fall into the warm-up of {warmup} steps; set growth.earliest_step"
    is_late = decays and _latest_step(run, policy, stage) >= decay
    return "a growth may fall into the decay of the learning rate; set growth.latest_step" if is_late else None


def _latest_step(run: PreparedRun, policy: GrowthPolicy, stage: Stage) -> int:
    """Step after which a stage begins at the latest, if it does."""
    bounds = (stage.latest_step, policy.latest_step, run.config.steps - 1)
    return min(bound for bound in bounds if bound is not None)


def _about_losses(
    run: PreparedRun, policy: GrowthPolicy, stages: list[Stage], seconds_per_step: list[float]
) -> list[str]:
    """Bounds of stages whose steps are not known."""
    flops_per_step = [run.config.tokens_per_step * stage.flops_per_token for stage in stages]
    costs = zip(flops_per_step, seconds_per_step, strict=True)
    notes = [
        f"Losses decide when {_stages(number for number, stage in enumerate(stages, 1) if stage.step is None)} will "
        "begin: their steps are not known before training. The table gives the earliest ones, as if losses stood still "
        "from the first step on.",
        f"Costs of a step: {_by_stage(f'{flops:.3g} FLOPs and {seconds:.2g} s' for flops, seconds in costs)}.",
    ]
    for trigger in single_triggers(policy.trigger):
        if isinstance(trigger, PlateauTrigger):
            notes.append(_about_plateau(run, trigger, flops_per_step[: trigger.events]))
    return notes


def _about_plateau(run: PreparedRun, trigger: PlateauTrigger, flops_per_step: list[int]) -> str:
    """The plateau's rate as what the loss has to do from one of its points to the next."""
    steps = run.config.tokens.val_check_interval if trigger.loss == "validation" else trigger.average_steps
    falls = (f"{100 * trigger.fall_between_points(steps * flops):.3g} %" for flops in flops_per_step)
    return (
        f"A plateau is where the {trigger.loss} loss falls in {steps} steps by less than {_by_stage(falls)}, "
        f"once there are {trigger.points} such losses of the stage."
    )


def _stages(numbers: Iterable[int]) -> str:
    listed = [str(number) for number in numbers]
    return f"{'stage' if len(listed) == 1 else 'stages'} {', '.join(listed)}"


def _by_stage(parts: Iterable[str]) -> str:
    return ", ".join(f"{part} in stage {number}" for number, part in enumerate(parts, start=1))
