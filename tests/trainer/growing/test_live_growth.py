"""Growth of a live trainer: nothing that was learned is lost, and what is new learns."""

from dataclasses import dataclass

import pytest
import torch

from tests.support.training.run_files import growth_lines
from tokenformer.growth.parameter_state import ParameterState
from tokenformer.trainer.loop.observers import growing
from tokenformer.trainer.loop.trainer import TokenformerTrainer

# Growth within warm-up and within the constant part, each at least ten steps before the end of the run.
EVENTS = (2, 5)
STEPS_LATER = 10
SCHEDULE = (f"growth.trigger={{name: schedule, steps: {list(EVENTS)}}}", "optimizer.weight_decay=0.0")

MODES = {
    "zero_values": SCHEDULE,
    "zero_keys": (*SCHEDULE, "growth.operators.tokenformer.new_tokens=zero_keys"),
    "16 bits": (*SCHEDULE, "model.dtype=bfloat16", "optimizer.accumulate_grad_in_fp32=true"),
}
IN_FP32 = ["zero_values", "zero_keys"]


@dataclass
class Standing:
    """What training knows at a moment, copied.

    Args:
        parameters: `ParameterState` by name.
        groups: of the optimizer: names of parameters, learning rate and weight decay of each.
        schedule: state of the learning rate's schedule.
    """

    parameters: dict
    groups: list[tuple[set[str], float, float]]
    schedule: dict


@dataclass
class Event:
    """A growth event: before, after, its line of metrics, and the weights ten steps later."""

    before: Standing
    after: Standing
    line: dict
    weights_later: dict[str, torch.Tensor]

    def new_rows(self, name: str) -> slice:
        return slice(len(self.before.parameters[name].weight), len(self.after.parameters[name].weight))

    def grown_names(self, kind: str) -> list[str]:
        """Parameters that got rows: "key_tokens" or "value_tokens"."""
        names = [name for name in self.after.parameters if name.endswith(kind)]
        assert len(names) == 2 * 5  # two layers of five Pattentions
        return names


def standing(trainer) -> Standing:
    optimizer, accumulator = trainer.optimizer, trainer.grad_accumulator
    adam = {optimizer.id_to_name[id(param)]: state for param, state in optimizer.get_base_optimizer().state.items()}
    parameters = {}
    for name, param in trainer.unwrapped_model.get_named_params_with_correct_tied():
        parameters[name] = ParameterState(
            weight=param.detach().clone(),
            master=None if accumulator is None else accumulator.parameters[name]["fp32"].detach().clone(),
            moments={key: adam[name][key].clone() for key in ("exp_avg", "exp_avg_sq")},
            step=adam[name]["step"].item(),
        )
    return Standing(
        parameters=parameters,
        groups=[
            ({optimizer.id_to_name[id(param)] for param in group["params"]}, group["lr"], group["weight_decay"])
            for group in optimizer.get_base_optimizer().param_groups
        ],
        schedule=trainer.lr_scheduler.state_dict(),
    )


def watched_run(live_trainer, settings) -> list[Event]:
    """Trains a run and returns its growth events."""
    moments, weights_after = [], {}
    grow = growing.grow

    def watched_grow(trainer, *arguments):
        before = standing(trainer)
        grow(trainer, *arguments)
        moments.append((before, standing(trainer)))

    def note_weights(trainer):
        now = standing(trainer).parameters
        weights_after[trainer.iteration_step] = {name: state.weight for name, state in now.items()}

    with (
        pytest.MonkeyPatch.context() as patch,
        live_trainer(*settings, "checkpoints.checkpoint_interval=16") as trainer,
    ):
        patch.setattr(growing, "grow", watched_grow)
        patch.setattr(TokenformerTrainer, "post_train_step", note_weights)
        trainer.fit()
    lines = growth_lines(trainer.run.config.run_folder)
    assert tuple(line["iteration_step"] for line in lines) == EVENTS
    return [
        Event(*moment, line, weights_after[step + STEPS_LATER])
        for step, moment, line in zip(EVENTS, moments, lines, strict=True)
    ]


@pytest.fixture(scope="module")
def runs(live_trainer):
    """The growth events of one run in each mode."""
    return {mode: watched_run(live_trainer, settings) for mode, settings in MODES.items()}


@pytest.fixture(params=MODES)
def events(request, runs):
    return runs[request.param]


@pytest.fixture(params=IN_FP32)
def events_in_fp32(request, runs):
    return runs[request.param]


def test_the_loss_stays(events):
    for event in events:
        assert abs(event.line["growth/loss_after"] - event.line["growth/loss_before"]) <= 1e-5
        assert event.line["growth/parameters"] > event.line["growth/parameters_before"]


def test_the_number_of_parameters_is_what_the_formula_says(events):
    for event in events:
        for when, standing_then in (("growth/parameters_before", event.before), ("growth/parameters", event.after)):
            counted = sum(state.weight.numel() for state in standing_then.parameters.values())
            assert event.line[when] == counted


def test_old_rows_keep_weights_copies_moments_and_counts_bit_for_bit(events):
    for event in events:
        assert event.before.parameters.keys() == event.after.parameters.keys()
        for name, old in event.before.parameters.items():
            new, rows = event.after.parameters[name], slice(None, len(old.weight))
            assert torch.equal(new.weight[rows], old.weight), name
            assert old.moments.keys() == new.moments.keys() == {"exp_avg", "exp_avg_sq"}
            for key, moment in old.moments.items():
                assert moment.any(), f"{key} of {name} shows nothing when it is zero"
                assert torch.equal(new.moments[key][rows], moment), f"{key} of {name}"
            assert new.step == old.step, name


def test_new_rows_have_zero_moments(events):
    for event in events:
        for name in event.grown_names("key_tokens") + event.grown_names("value_tokens"):
            for key, moment in event.after.parameters[name].moments.items():
                assert moment.shape == event.after.parameters[name].weight.shape
                assert not moment[event.new_rows(name)].any(), f"{key} of {name}"


def test_fp32_copies_of_16_bit_weights_are_kept_and_grown(runs):
    for event in runs["16 bits"]:
        for name, old in event.before.parameters.items():
            new = event.after.parameters[name]
            assert torch.equal(new.master[: len(old.master)], old.master), name
            assert torch.equal(new.master.to(torch.bfloat16), new.weight), name


def test_the_groups_of_the_optimizer_and_the_learning_rate_stay(events):
    in_warm_up, after_warm_up = events
    assert in_warm_up.before.groups[0][1] < after_warm_up.before.groups[0][1]
    for event in events:
        assert event.after.groups == event.before.groups
        assert event.after.schedule == event.before.schedule


@pytest.mark.parametrize("mode", IN_FP32)
def test_one_side_of_a_new_token_is_zero_and_the_other_is_not(runs, mode):
    zero, random = ("value_tokens", "key_tokens") if mode == "zero_values" else ("key_tokens", "value_tokens")
    for event in runs[mode]:
        for name in event.grown_names(zero):
            assert not event.after.parameters[name].weight[event.new_rows(name)].any(), name
        for name in event.grown_names(random):
            assert event.after.parameters[name].weight[event.new_rows(name)].any(dim=1).all(), name


@pytest.mark.parametrize("kind", ["key_tokens", "value_tokens"])
def test_ten_steps_later_every_new_row_has_learned(events_in_fp32, kind):
    """There is no weight decay in these runs, so that only a gradient can move a row."""
    for event in events_in_fp32:
        for name in event.grown_names(kind):
            born = event.after.parameters[name].weight[event.new_rows(name)]
            later = event.weights_later[name][event.new_rows(name)]
            assert (later != born).any(dim=1).all(), name


@pytest.mark.parametrize("kind", ["key_tokens", "value_tokens"])
def test_ten_steps_later_no_two_new_rows_are_equal(events_in_fp32, kind):
    for event in events_in_fp32:
        for name in event.grown_names(kind):
            rows = event.weights_later[name][event.new_rows(name)]
            assert len(torch.unique(rows, dim=0)) == len(rows), name


def test_new_rows_differ_between_events_and_between_layers(runs):
    born = [
        event.after.parameters[name].weight[event.new_rows(name)][:16]
        for event in runs["zero_values"]
        for name in event.grown_names("key_tokens")
    ]
    directions = torch.nn.functional.normalize(torch.stack([rows.flatten() for rows in born]), dim=1)
    off_diagonal = directions @ directions.T - torch.eye(len(born))
    assert off_diagonal.abs().max() < 0.5
