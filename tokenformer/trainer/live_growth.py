"""Applies a growth operator to a live trainer: everything that Nanotron sized at the start is made anew."""

import dataclasses

import torch
from nanotron.helpers import init_optimizer_and_grad_accumulator, lr_scheduler_builder
from nanotron.trainer import DistributedTrainer
from torch.overrides import TorchFunctionMode

from tokenformer.growth.operator import GrowthContext
from tokenformer.growth.parameter_state import ParameterState, grown_state
from tokenformer.growth.transition import Transition
from tokenformer.trainer.growth_memory import explained_when_out_of_memory
from tokenformer.trainer.live_state import LiveState, optimizer_slices, stages_by_name, unwrapped
from tokenformer.trainer.whole_tensors import Shard, cut


class WithoutRandomValues(TorchFunctionMode):
    """While it lasts, what a module draws when it is made is left out: growth fills every parameter anyway."""

    DRAWS = (torch.nn.init.kaiming_uniform_, torch.nn.init.uniform_, torch.nn.init.normal_)

    def __torch_function__(self, function, types, arguments=(), options=None):
        options = options or {}
        if function in self.DRAWS:
            return arguments[0] if arguments else options["tensor"]
        return function(*arguments, **options)


class GrownPlaces:
    """Where the new model's trainer keeps what belongs to a parameter, in this process."""

    def __init__(self, trainer: DistributedTrainer):
        self.optimizer, self.accumulator = trainer.optimizer, trainer.grad_accumulator
        self.context = trainer.parallel_context
        self.params = dict(unwrapped(trainer.model).get_named_params_with_correct_tied())
        base = self.optimizer.get_base_optimizer()
        self.base_state, self.fused = base.state, base.defaults.get("fused")
        self.optimized = {
            self.optimizer.id_to_name[id(param)]: param for group in base.param_groups for param in group["params"]
        }

    @torch.no_grad()
    def fill(self, name: str, state: ParameterState, is_shared: bool) -> None:
        """Puts this process' part of a grown parameter, its fp32 copy, moments and count where they belong.

        Args:
            is_shared: whether tensors of `state` may also be those of a parameter that comes later.
        """
        param = self.params[name]
        shard = Shard.of(param)
        if tuple(state.weight.shape) != shard.whole_shape:
            made, wanted = tuple(state.weight.shape), shard.whole_shape
            raise RuntimeError(f"growth made {name} {made} and the grown model wants {wanted}")
        param.copy_(cut(state.weight, shard))
        if name not in self.optimized:
            return  # all of its elements are optimized by other replicas
        dp_rank, optimized = torch.distributed.get_rank(self.context.dp_pg), self.optimized[name]
        start, end = optimizer_slices(self.optimizer, name, param.numel(), self.context.dp_pg.size())[dp_rank]

        def part(whole: torch.Tensor) -> torch.Tensor:
            return cut(whole, shard).flatten()[start:end].view(optimized.shape)

        if self.accumulator is not None:
            self.accumulator.parameters[name]["fp32"].copy_(part(state.most_precise))
        if state.step is not None:
            moments = {key: _with_memory_of_its_own(part(moment), is_shared) for key, moment in state.moments.items()}
            # As torch's AdamW keeps it: on the parameter's device when it is fused.
            step = state.step.to("cpu" if not self.fused else param.device, torch.float32, copy=True)
            self.base_state[optimized] = {"step": step, **moments}


def _with_memory_of_its_own(tensor: torch.Tensor, is_shared: bool) -> torch.Tensor:
    """Neither another parameter's tensor nor a part of a larger one, which it would keep alive."""
    is_part = not tensor.is_contiguous() or tensor.untyped_storage().nbytes() != tensor.nbytes
    return tensor.clone(memory_format=torch.contiguous_format) if is_shared or is_part else tensor


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
        new_moments: a key of `parameter_state.NEW_MOMENTS`.

    Raises:
        UserError: memory ran out. Nothing on disk has changed, but the trainer cannot go on.
    """
    with explained_when_out_of_memory(trainer, transition):
        schedule = trainer.lr_scheduler.state_dict()
        old = LiveState(trainer)
        _build(trainer, transition.after)
        _fill_all(trainer, old, transition, context, new_moments)
        _go_on_with_schedule(trainer, schedule)


def _fill_all(
    trainer: DistributedTrainer, old: LiveState, transition: Transition, context: GrowthContext, new_moments: str
) -> None:
    stages = stages_by_name(trainer.unwrapped_model, old.pp_pg)
    last_use = {source: name for name in stages for source in transition.sources(name)}
    places = GrownPlaces(trainer)
    for name, needed_by in stages.items():
        sources = transition.sources(name)
        states = {source: old.whole(source, needed_by) for source in sources}
        done = [source for source in sources if last_use[source] == name]
        if name in places.params:
            state = grown_state(name, states, transition, context, new_moments)
            places.fill(name, state, is_shared=len(done) < len(sources))
        for source in done:
            old.release(source)


def name_modules(model) -> None:
    """The table of module names that Nanotron's train loop sets once, for a model made later."""
    model.module_id_to_prefix = {id(module): f"{name}." for name, module in model.named_modules()}
    model.module_id_to_prefix[id(model)] = ""
