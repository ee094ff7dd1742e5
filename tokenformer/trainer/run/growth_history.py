"""Checks that the model in a checkpoint is the one that the config makes by the same growth events."""

from collections.abc import Iterator
from pathlib import Path

from tokenformer.config.building import as_section
from tokenformer.errors import UserError
from tokenformer.model.config import PROJECTIONS, TokenformerConfig, TokenSegment
from tokenformer.run_folder.names import GROWTH
from tokenformer.trainer.bridge.model_config import model_config_from
from tokenformer.trainer.checkpoint.records import GrowthRecord
from tokenformer.trainer.run.prepared_run import PreparedRun


def check_growth_history(run: PreparedRun, folder: Path, growth: GrowthRecord) -> None:
    """Refuses a checkpoint whose operators, layer sizes or tau are not those of the config.

    Raises:
        UserError: names the event, and the first layer that differs with both sizes.
    """
    possible = len(run.model_configs) - 1
    if len(growth.events) > possible:
        raise UserError(
            f"the checkpoint {folder} has {len(growth.events)} growth events behind it, and the config allows "
            f"{possible}: set growth back, or start another run with general.run=NAME"
        )
    found = [*_differing_events(run, growth), *_differing_layers(run, folder, growth)]
    if found:
        raise UserError(
            f"the checkpoint {folder} is not of this config: {'; '.join(found)}. Set the config back, or start another "
            f"run with general.run=NAME"
        )


def _differing_events(run: PreparedRun, growth: GrowthRecord) -> Iterator[str]:
    for event in growth.events:
        now = as_section(run.operator_of(event.stage))
        keys = [key for key in now | event.operator if event.operator.get(key) != now.get(key)]
        if keys:
            before, after = ({key: each.get(key) for key in keys} for each in (event.operator, now))
            yield f"growth event {event.stage} was {event.operator['name']} with {before}, and the config has {after}"
            return


def _differing_layers(run: PreparedRun, folder: Path, growth: GrowthRecord) -> Iterator[str]:
    """The first layer of a Tokenformer that has other parameter tokens; other models are compared key by key."""
    now = run.model_configs[len(growth.events)]
    if not isinstance(now, TokenformerConfig):
        return
    before = model_config_from(growth.model_config, run.config.model_type, str(folder / GROWTH))
    for layer in range(min(before.num_hidden_layers, now.num_hidden_layers)):
        for projection in PROJECTIONS:
            sizes = [config.segments(projection, layer) for config in (before, now)]
            if sizes[0] != sizes[1]:
                yield (
                    f"layer {layer} has {projection}_tokens {_in_words(sizes[0])}, and the config makes "
                    f"{_in_words(sizes[1])}"
                )
                return


def _in_words(segments: list[TokenSegment]) -> str:
    parts = " + ".join(f"{segment.tokens} with tau {segment.tau:.6g}" for segment in segments)
    return f"{sum(segment.tokens for segment in segments)} ({parts})"
