"""Applies a growth operator to a live trainer: everything that Nanotron sized at the start is made anew."""

from dataclasses import dataclass
from typing import Any

import torch
from nanotron import distributed as dist
from nanotron.helpers import init_optimizer_and_grad_accumulator, lr_scheduler_builder
from nanotron.trainer import DistributedTrainer
from torch.nn.parallel import DistributedDataParallel

from tokenformer.growth.operator import GrowthContext, GrowthOperator


@dataclass
class ParameterState:
    """What training knows about one parameter, in this process.

    Args:
        weight: this process' shard.
        master: the fp32 copy that Nanotron keeps beside 16-bit weights, or None.
        moments: Adam's `exp_avg` and `exp_avg_sq`, empty before the first step.
        step: Adam's count of updates, or None before the first.
    """

    weight: torch.Tensor
    master: torch.Tensor | None
    moments: dict[str, torch.Tensor]
    step: torch.Tensor | None


def unwrapped(model) -> torch.nn.Module:
    return model.module if isinstance(model, DistributedDataParallel) else model


def _optimizer_state_by_name(optimizer) -> dict[str, dict[str, torch.Tensor]]:
    base = optimizer.get_base_optimizer()
    return {optimizer.id_to_name[id(param)]: state for param, state in base.state.items()}


def parameter_states(trainer: DistributedTrainer) -> dict[str, ParameterState]:
    """Every parameter of this process, under the name that is the same for tied copies."""
    optimizer_states = _optimizer_state_by_name(trainer.optimizer)
    accumulator = trainer.grad_accumulator
    states = {}
    for name, param in unwrapped(trainer.model).get_named_params_with_correct_tied():
        state = optimizer_states.get(name, {})
        states[name] = ParameterState(
            weight=param.detach(),
            master=None if accumulator is None else accumulator.parameters[name]["fp32"].detach(),
            moments={key: state[key] for key in ("exp_avg", "exp_avg_sq") if key in state},
            step=state.get("step"),
        )
    return states


def over_pipeline(states: dict[str, ParameterState], pp_pg: dist.ProcessGroup) -> dict[str, ParameterState]:
    """The states of every pipeline stage: a grown block costs more, so Nanotron may place it elsewhere."""
    if pp_pg.size() == 1:
        return states
    of_stages = [None] * pp_pg.size()
    dist.all_gather_object(of_stages, states, group=pp_pg)
    return {name: state for of_stage in of_stages for name, state in of_stage.items()}


def root_mean_square(trainer: DistributedTrainer, name: str, weight: torch.Tensor) -> float:
    """Over all tensor-parallel shards of a parameter, in fp64."""
    param = dict(unwrapped(trainer.model).get_named_params_with_correct_tied())[name]
    totals = torch.stack([weight.double().square().sum(), weight.new_tensor(weight.numel(), dtype=torch.float64)])
    if param.is_sharded:
        dist.all_reduce(totals, group=trainer.parallel_context.tp_pg)
    square_sum, count = totals.tolist()
    return (square_sum / count) ** 0.5


def grow_states(
    states: dict[str, ParameterState], operator: GrowthOperator, before: Any, after: Any, context: GrowthContext
) -> dict[str, ParameterState]:
    """The states of the grown model's parameters."""
    grown = {}
    for name, state in states.items():
        grown[name] = ParameterState(
            weight=operator.grown_parameter(name, state.weight, before, after, context),
            master=None
            if state.master is None
            else operator.grown_parameter(name, state.master, before, after, context),
            moments={key: operator.grown_moment(name, old, before, after) for key, old in state.moments.items()},
            step=state.step,
        )
    return grown


def _set_weights(model, states: dict[str, ParameterState]) -> None:
    with torch.no_grad():
        for name, param in model.get_named_params_with_correct_tied():
            if param.shape != states[name].weight.shape:
                made, wanted = tuple(states[name].weight.shape), tuple(param.shape)
                raise RuntimeError(f"growth made {name} {made} and the grown model wants {wanted}")
            param.copy_(states[name].weight)


def _set_optimizer_state(optimizer, accumulator, states: dict[str, ParameterState]) -> None:
    base = optimizer.get_base_optimizer()
    for group in base.param_groups:
        for param in group["params"]:
            state = states[optimizer.id_to_name[id(param)]]
            if state.step is not None:
                moments = {key: moment.clone() for key, moment in state.moments.items()}
                base.state[param] = {"step": state.step.clone(), **moments}
    if accumulator is not None:
        with torch.inference_mode():
            for name, copies in accumulator.parameters.items():
                copies["fp32"].copy_(states[name].master)


def follow_schedule(trainer: DistributedTrainer) -> None:
    """Gives the optimizer the learning rates that the scheduler stands at.

    Building a scheduler writes the rate of step 0 into the optimizer, and loading its state does not undo that.
    """
    scheduler = trainer.lr_scheduler
    for group, rate in zip(scheduler.optimizer.param_groups, scheduler.get_last_lr(), strict=True):
        group["lr"] = rate


def grow(trainer: DistributedTrainer, operator: GrowthOperator, after: Any, seed: int, stage: int) -> None:
    """Replaces model, optimizer, gradient accumulator and schedule of the trainer by those of the grown model.

    Args:
        after: config of the grown model.
        stage: number of this event, from 1.
    """
    before = trainer.model_config
    states = parameter_states(trainer)
    context = GrowthContext(
        seed=seed,
        stage=stage,
        shard=(dist.get_rank(trainer.parallel_context.tp_pg), trainer.parallel_context.tp_pg.size()),
        root_mean_square=lambda name: root_mean_square(trainer, name, states[name].weight),
    )
    grown = over_pipeline(grow_states(states, operator, before, after, context), trainer.parallel_context.pp_pg)
    schedule = trainer.lr_scheduler.state_dict()

    trainer.model_config = trainer.config.model.model_config = after
    trainer.model = trainer._init_model_instance()
    trainer.unwrapped_model = unwrapped(trainer.model)
    _set_weights(trainer.unwrapped_model, grown)
    trainer.optimizer, trainer.grad_accumulator = init_optimizer_and_grad_accumulator(
        model=trainer.model, optimizer_args=trainer.config.optimizer, parallel_context=trainer.parallel_context
    )
    _set_optimizer_state(trainer.optimizer, trainer.grad_accumulator, grown)
    trainer.lr_scheduler = lr_scheduler_builder(
        optimizer=trainer.optimizer,
        lr_scheduler_args=trainer.config.optimizer.learning_rate_scheduler,
        total_training_steps=trainer.config.tokens.train_steps,
    )
    trainer.lr_scheduler.load_state_dict(schedule)
    follow_schedule(trainer)
    name_modules(trainer.unwrapped_model)


def name_modules(model) -> None:
    """The table of module names that Nanotron's train loop sets once, for a model made later."""
    model.module_id_to_prefix = {id(module): f"{name}." for name, module in model.named_modules()}
    model.module_id_to_prefix[id(model)] = ""
