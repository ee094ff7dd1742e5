"""Grows a checkpoint on disk, by the same functions that grow a live run."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict

import torch

from tokenformer.config.building import as_section, build_named
from tokenformer.config.loading import apply_assignment
from tokenformer.config.sections import marked_model_type
from tokenformer.errors import UserError
from tokenformer.files import refuse_to_replace
from tokenformer.growth import OPERATORS
from tokenformer.growth.operator import GrowthContext, Transition
from tokenformer.growth.parameter_state import NEW_MOMENTS, ParameterState, grown_state
from tokenformer.model.flops import model_size
from tokenformer.trainer.checkpoint.records import GrowthEvent, GrowthRecord
from tokenformer.trainer.checkpoint.stored import StoredCheckpoint
from tokenformer.trainer.checkpoint.written import built_model, one_process, write_checkpoint
from tokenformer.trainer.growing.options import GrowOptions

# Largest difference of logits that rounding may make, relative to the largest logit: in fp32 some 6 times what was
# measured for models of 48 layers.
TOLERANCES = {torch.float64: 1e-10, torch.float32: 1e-5, torch.bfloat16: 0.1, torch.float16: 0.02}
BATCH, LONGEST = 4, 128


class GrownParameters(Mapping[str, ParameterState]):
    """The states of a grown model's parameters, each made when it is asked for and not kept."""

    def __init__(
        self,
        stored: StoredCheckpoint,
        transition: Transition,
        context: GrowthContext,
        new_moments: str,
        names: Sequence[str],
    ):
        self.stored, self.transition, self.context = stored, transition, context
        self.new_moments, self.names = new_moments, names

    def __getitem__(self, name: str) -> ParameterState:
        old = {source: self.stored[source] for source in self.transition.growth_of(name).sources}
        return grown_state(name, old, self.transition, self.context, self.new_moments)

    def __iter__(self) -> Iterator[str]:
        return iter(self.names)

    def __len__(self) -> int:
        return len(self.names)


def _transition(stored: StoredCheckpoint, growth: GrowOptions) -> Transition:
    content: dict = {"name": growth.operator}
    for assignment in growth.parameters:
        apply_assignment(content, assignment)
    operator = build_named(content, OPERATORS, "operator", "grow")
    model_type = marked_model_type(stored.model_settings)
    if model_type not in operator.model_types:
        known = " and ".join(operator.model_types)
        raise UserError(f"{growth.source}: {operator.name} grows {known}, not {model_type}")
    operator.check_dtype(str(stored.dtype).removeprefix("torch."))
    return Transition.by(operator, stored.model_config)


@torch.no_grad()
def _logits(model, parameters: Mapping[str, ParameterState], ids: torch.Tensor) -> torch.Tensor:
    from tokenformer.trainer.checkpoint.restore import restore  # made of Nanotron, which must be repaired first

    restore(model, None, None, parameters.__getitem__)
    return model.model(input_ids=ids, input_mask=torch.ones_like(ids, dtype=torch.bool)).float()


def _random_ids(config, seed: int) -> torch.Tensor:
    """Token ids [batch, length], at random."""
    length = min(LONGEST, config.max_position_embeddings)
    return torch.randint(config.vocab_size, (BATCH, length), generator=torch.Generator().manual_seed(seed))


def _event(stored: StoredCheckpoint, transition: Transition, stage: int) -> GrowthEvent:
    before, after = (model_size(config).parameters for config in (transition.before, transition.after))
    return GrowthEvent(
        stage, stored.step, as_section(transition.operator), "tokenformer grow", before, after, None, None
    )


def grow_checkpoint(growth: GrowOptions) -> list[str]:
    """Writes the grown checkpoint, weights, fp32 copies and Adam's moments, as one of one process.

    A run of any layout starts from it with `model.init_method: {path: OUTPUT}`. The output is whole, or not there.

    Returns:
        Lines that say what was done.

    Raises:
        UserError: the source is no checkpoint, the output exists, the operator or a parameter is unknown or does not
            fit the model, or the logits differ by more than the tolerance.
    """
    refuse_to_replace(growth.output)
    if growth.new_moments not in NEW_MOMENTS:
        raise UserError(f"new_moments is {growth.new_moments!r}; choose one of {', '.join(NEW_MOMENTS)}")
    stored = StoredCheckpoint(growth.source)
    transition = _transition(stored, growth)
    history = stored.growth or GrowthRecord(seed=0, model_config=stored.model_settings)
    stage = len(history.events) + 1
    context = GrowthContext(history.seed if growth.seed is None else growth.seed, stage)
    event = _event(stored, transition, stage)
    lines = [f"{transition.operator.name}: {event.parameters_before:,} -> {event.parameters_after:,} parameters"]
    with one_process() as parallel:
        grown_model = built_model(transition.after, stored.dtype, parallel)
        names = [name for name, _ in grown_model.get_named_params_with_correct_tied()]
        parameters = GrownParameters(stored, transition, context, growth.new_moments, names)
        if growth.verify:
            old_model = built_model(transition.before, stored.dtype, parallel)
            ids = _random_ids(transition.before, context.seed)
            old, new = _logits(old_model, stored, ids), _logits(grown_model, parameters, ids)
            lines.append(_verdict(old, new, growth, transition, stored.dtype))
    record = GrowthRecord(history.seed, asdict(transition.after), [*history.events, event])
    write_checkpoint(growth.output, transition.after, parameters, origin=stored, growth=record)
    return [*lines, f"written to {growth.output}"]


def _verdict(
    old: torch.Tensor, new: torch.Tensor, growth: GrowOptions, transition: Transition, dtype: torch.dtype
) -> str:
    difference, largest = (new - old).abs().max().item(), old.abs().max().item()
    tolerance = TOLERANCES[dtype] * largest if growth.tolerance is None else growth.tolerance
    line = f"max |logit difference| {difference:.3e} at largest |logit| {largest:.3e}, tolerance {tolerance:.3e}"
    if not difference <= tolerance:
        exact = transition.operator.is_exact(transition.before)
        reason = (
            "and this operator should keep the function" if exact else "and this operator does not keep the function"
        )
        raise UserError(f"{line}: too much, {reason}; nothing was written to {growth.output}")
    return line
