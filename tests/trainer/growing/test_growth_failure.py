"""What goes wrong in the middle of a growth event costs no more than the steps since the last checkpoint."""

import signal
import sys

import pytest

from tests.support.places import PROGRAMS
from tests.support.programs.killed_in_growth import POINTS
from tests.support.training.launching import start_training
from tests.support.training.run_files import assert_same_end, event_steps, growth_lines, latest_step
from tests.support.training.tiny_run import MODES, RUN, TWO_REPLICAS
from tokenformer.trainer.growing.memory import bytes_needed
from tokenformer.trainer.loop.observers import growing

# One step is lost whenever growth fails.
SHORT = (
    "growth.trigger={name: schedule, steps: [3]}",
    "growth.warmup_steps=2",
    "growth.learning_rate_factor=0.5",
    "tokens.train_steps=6",
    "optimizer.learning_rate_scheduler.lr_decay_starting_step=5",
    "optimizer.learning_rate_scheduler.lr_decay_steps=1",
    "checkpoints.checkpoint_interval=2",
)
SHARED = (*SHORT, *TWO_REPLICAS, "optimizer.zero_stage=1")


@pytest.fixture(scope="module")
def undisturbed(tiny_config, tmp_path_factory):
    """The folder of a run of two replicas that share the optimizer."""
    folder = tmp_path_factory.mktemp("undisturbed")
    start_training(tiny_config, *SHARED, f"general.runs_folder={folder}", ranks=2).expect_success()
    return folder / RUN


def kill_in_growth(config, point: str, rank: int, *settings: str, ranks: int, monkeypatch) -> None:
    monkeypatch.setenv("KILLED_RANK", str(rank))
    monkeypatch.setenv("KILLED_AT", point)
    training = start_training(config, *settings, ranks=ranks, program=(str(PROGRAMS / "killed_in_growth.py"),))
    try:
        status = training.processes[rank].wait(120)
        assert status == -signal.SIGKILL, training.output()
    finally:
        training.end()


def killed_run(config, deaths, folder, monkeypatch, shared: tuple[str, ...] = SHARED):
    """The folder of a run that died in its growth event again and again, and was then left to end."""
    settings = (*shared, f"general.runs_folder={folder}")
    for rank, point in deaths:
        kill_in_growth(config, point, rank, *settings, ranks=2, monkeypatch=monkeypatch)
        assert latest_step(folder / RUN) == 2
    start_training(config, *settings, ranks=2).expect_success()
    return folder / RUN


def test_replicas_killed_in_a_growth_event_end_bitwise_as_the_undisturbed_ones(
    undisturbed, tiny_config, tmp_path, monkeypatch
):
    deaths = [(1, "gathering"), (0, "filling"), (1, "report")]
    assert event_steps(undisturbed) == [3]
    assert_same_end(killed_run(tiny_config, deaths, tmp_path, monkeypatch), undisturbed)


# Two processes each; the pipeline moves a layer at growth.
SHARDED = {
    "tp 2": ("parallelism.tp=2",),
    "pp 2": (
        "parallelism.pp=2",
        "model.model_config.num_hidden_layers=3",
        "growth.operators.tokenformer={name: stack_layers, zero_gated: true}",
    ),
}


@pytest.mark.slow
@pytest.mark.parametrize("layout", SHARDED)
def test_shards_and_stages_killed_in_a_growth_event_end_bitwise_as_undisturbed_ones(
    tiny_config, tmp_path, monkeypatch, layout
):
    settings = (*SHORT, *SHARDED[layout])
    whole, killed = tmp_path / "whole", tmp_path / "killed"
    start_training(tiny_config, *settings, f"general.runs_folder={whole}", ranks=2).expect_success()
    assert event_steps(whole / RUN) == [3]
    deaths = [(1, "gathering"), (0, "filling"), (1, "new rates")]
    assert_same_end(killed_run(tiny_config, deaths, killed, monkeypatch, settings), whole / RUN)


@pytest.mark.slow
def test_whoever_is_killed_and_wherever_in_the_event(undisturbed, tiny_config, tmp_path, monkeypatch):
    deaths = [(rank, point) for point in POINTS for rank in (0, 1)]
    assert_same_end(killed_run(tiny_config, deaths, tmp_path, monkeypatch), undisturbed)


@pytest.fixture(scope="module")
def much_growth(tiny_config, tmp_path_factory, command_line):
    """Settings of a run whose event needs megabytes, and the folder of that run."""
    settings = (*SHORT, "growth.operators.tokenformer.factor=200", "growth.tolerance=1")
    folder = tmp_path_factory.mktemp("enough-memory")
    assert command_line(*settings, f"general.runs_folder={folder}") == 0
    return settings, folder / RUN


@pytest.mark.skipif(sys.platform != "linux", reason="limits the address space by way of /proc")
def test_without_memory_it_says_what_it_needs_and_the_checkpoint_can_be_resumed(
    much_growth, tiny_config, tmp_path, monkeypatch
):
    # What steps have freed goes back to the system, or the grown model would find room in it.
    monkeypatch.setenv("MALLOC_TRIM_THRESHOLD_", "131072")
    settings, undisturbed = much_growth
    settings = (*settings, f"general.runs_folder={tmp_path}")
    training = start_training(tiny_config, *settings, program=(str(PROGRAMS / "out_of_memory.py"),))
    try:
        assert training.processes[0].wait(120) == 2, training.output()
        (message,) = [line for line in training.output().splitlines() if line.startswith("tokenformer: ")]
    finally:
        training.end()
    (event,) = growth_lines(undisturbed)
    sizes = [f"{event[key]:,}" for key in ("growth/parameters_before", "growth/parameters")]
    # fp32: weight, gradient and two moments of every parameter.
    needed = f"{16 * event['growth/parameters']:,} bytes"
    checkpoint = str(tmp_path / RUN / "checkpoints" / "2")
    for words in ("out of memory at the growth event after step 3", *sizes, needed, checkpoint, "allocate"):
        assert words in message, message
    start_training(tiny_config, *settings).expect_success()
    assert_same_end(tmp_path / RUN, undisturbed)


def bytes_held(trainer) -> int:
    """Weights and all that training keeps beside them, a gradient as large as each."""
    params, accumulator = list(trainer.unwrapped_model.parameters()), trainer.grad_accumulator
    tensors = [*params, *params]
    for state in trainer.optimizer.get_base_optimizer().state.values():
        tensors += [state["exp_avg"], state["exp_avg_sq"]]
    if accumulator is not None:
        tensors += [copies["fp32"] for copies in accumulator.parameters.values()]
        tensors.append(accumulator._contiguous_fp32_grad_buffer)
    return sum(tensor.nbytes for tensor in tensors)


@pytest.mark.parametrize("mode", MODES)
def test_the_bytes_that_are_named_are_those_of_the_grown_model(live_trainer, mode, monkeypatch):
    with live_trainer(*SHORT, *MODES[mode]) as trainer:
        grow, found = growing.grow, []

        def watched_grow(trainer, transition, *details):
            found.append(bytes_needed(trainer, transition))
            grow(trainer, transition, *details)
            found.append(bytes_held(trainer))

        monkeypatch.setattr(growing, "grow", watched_grow)
        trainer.fit()
    needed, held = found
    assert needed == held
