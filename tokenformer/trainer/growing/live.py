"""Applies a growth operator to a live trainer: everything that Nanotron sized at the start is made anew."""

import dataclasses

import torch
from nanotron.helpers import init_optimizer_and_grad_accumulator, lr_scheduler_builder
from nanotron.trainer import DistributedTrainer
from torch.overrides import TorchFunctionMode

from tokenformer.devices import default_device
from tokenformer.growth.operator import GrowthContext, Transition
from tokenformer.growth.parameter_state import grown_state
from tokenformer.trainer.checkpoint.restore import TrainingPlaces
from tokenformer.trainer.growing.live_state import LiveState, stages_by_name, unwrapped
from tokenformer.trainer.growing.memory import explained_when_out_of_memory


class WithoutRandomValues(TorchFunctionMode):
    """While it lasts, what a module draws when it is made is left out: growth fills every parameter anyway."""

    DRAWS = (torch.nn.init.kaiming_uniform_, torch.nn.init.uniform_, torch.nn.init.normal_)

    def __torch_function__(self, function, types, arguments=(), options=None):
        options = options or {}
        if function in self.DRAWS:
            return arguments[0] if arguments else options["tensor"]
        return function(*arguments, **options)


def follow_schedule(trainer: DistributedTrainer) -> None:
    """Gives the optimizer the learning rates that the scheduler stands at.

    Building a scheduler writes the rate of step 0 into the optimizer, and loading its state does not undo that.
    """
    scheduler = trainer.lr_scheduler
    for group, rate in zip(scheduler.optimizer.param_groups, scheduler.get_last_lr(), strict=True):
        group["lr"] = rate


def _build(trainer: DistributedTrainer, model_config) -> None:
    """A model of the config with empty parameters, and its optimizer."""
    trainer.model_config = trainer.config.model.model_config = dataclasses.replace(model_config)
    with WithoutRandomValues():
        trainer.model = trainer._init_model_instance()
    trainer.unwrapped_model = unwrapped(trainer.model)
    name_modules(trainer.unwrapped_model)
    trainer.optimizer, trainer.grad_accumulator = init_optimizer_and_grad_accumulator(
        model=trainer.model, optimizer_args=trainer.config.optimizer, parallel_context=trainer.parallel_context
    )


def _go_on_with_schedule(trainer: DistributedTrainer, schedule: dict) -> None:
    """A scheduler for the new optimizer, whose groups may have other rates, at the step where the old one was."""
    scheduler = trainer.lr_scheduler = lr_scheduler_builder(
        optimizer=trainer.optimizer,
        lr_scheduler_args=trainer.config.optimizer.learning_rate_scheduler,
        total_training_steps=trainer.config.tokens.train_steps,
    )
    scheduler.last_epoch, scheduler._step_count = schedule["last_epoch"], schedule["_step_count"]
    factors = [factor(scheduler.last_epoch) for factor in scheduler.lr_lambdas]
    scheduler._last_lr = [rate * factor for rate, factor in zip(scheduler.base_lrs, factors, strict=True)]
    follow_schedule(trainer)


def grow(trainer: DistributedTrainer, transition: Transition, context: GrowthContext, new_moments: str) -> None:
    """Replaces model, optimizer, gradient accumulator and schedule of the trainer by those of the grown model.

    Every rank goes through the parameters of the grown model in one order: what a parameter is made of is gathered,
    grown whole, cut into what each rank keeps, and freed when no later parameter needs it.

    Args:
        new_moments: one of `parameter_state.NEW_MOMENTS`.

    Raises:
        UserError: memory ran out. Nothing on disk has changed, but the trainer cannot go on.
    """
    with explained_when_out_of_memory(trainer, transition):
        schedule = trainer.lr_scheduler.state_dict()
        old = LiveState(trainer)
        _build(trainer, transition.after)
        _fill_all(trainer, old, transition, context, new_moments)
        _go_on_with_schedule(trainer, schedule)
    if default_device() == "cuda":
        torch.cuda.empty_cache()  # blocks of the old sizes are of no use any more


def _fill_all(
    trainer: DistributedTrainer, old: LiveState, transition: Transition, context: GrowthContext, new_moments: str
) -> None:
    stages = stages_by_name(trainer.unwrapped_model, old.pp_pg)
    last_use = {source: name for name in stages for source in transition.growth_of(name).sources}
    places = TrainingPlaces(trainer.unwrapped_model, trainer.optimizer, trainer.grad_accumulator)
    for name, needed_by in stages.items():
        sources = transition.growth_of(name).sources
        wholes = [(source, old.whole(source, needed_by)) for source in sources]
        states = {source: state for source, state in wholes if state is not None}
        if name in places.params:
            places.fill(name, grown_state(name, states, transition, context, new_moments))
        for source in sources:
            if last_use[source] == name:
                old.release(source)


def name_modules(model) -> None:
    """The table of module names that Nanotron's train loop sets once, for a model made later."""
    model.module_id_to_prefix = {id(module): f"{name}." for name, module in model.named_modules()}
    model.module_id_to_prefix[id(model)] = ""
