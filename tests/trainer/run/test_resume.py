"""A run that was stopped and resumed ends as one that never stopped, bit for bit."""

from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.support.training.launching import start_training
from tests.support.training.run_files import assert_same_end, event_steps, metrics, rewound_copy, step_lines


@pytest.fixture(scope="module")
def resumed(reference, tiny_config, tmp_path_factory):
    """The reference run resumed, each time by a new process, from the checkpoints around its growth events.

    Returns, by the step of the checkpoint, the run's folder and what the process printed.
    """
    steps = [event + offset for event in event_steps(reference) for offset in (-1, 0, 1)]

    def resume(step):
        runs_folder = tmp_path_factory.mktemp(f"resumed-{step}")
        run = rewound_copy(reference, runs_folder, step)
        training = start_training(tiny_config, f"general.runs_folder={runs_folder}")
        return run, training.expect_success()

    with ThreadPoolExecutor(max_workers=2) as two_at_a_time:
        return dict(zip(steps, two_at_a_time.map(resume, steps), strict=True))


def test_the_reference_run_grows_twice_in_its_middle(reference):
    first, second = event_steps(reference)
    assert 1 < first < second - 2
    assert second < 15


@pytest.mark.parametrize("event", [0, 1], ids=["first growth", "second growth"])
@pytest.mark.parametrize("offset", [-1, 0, 1], ids=["step before", "step of", "step after"])
def test_resumed_run_ends_bitwise_as_the_uninterrupted_one(resumed, reference, event, offset):
    step = event_steps(reference)[event] + offset
    run, output = resumed[step]
    assert f"goes on after step {step} of 16" in output
    assert_same_end(run, reference)


def test_no_step_stands_twice_in_the_metrics(resumed, reference):
    for run, _ in resumed.values():
        assert [line["iteration_step"] for line in step_lines(run)] == list(range(1, 17))
        assert event_steps(run) == event_steps(reference)


VARIANTS = {
    "zero keys": ("growth.operators.tokenformer.new_tokens=zero_keys",),
    "16 bits with fp32 copies": ("model.dtype=bfloat16", "optimizer.accumulate_grad_in_fp32=true"),
    "two microbatches": ("tokens.micro_batch_size=2", "tokens.batch_accumulation_per_replica=2"),
    "sequences shorter than the positions": ("model.model_config.max_position_embeddings=48",),
    "rates by size": ("model.model_config.parametrization=transfer",),
    "untied, norms with a scale, grouped queries, learned tau": (
        "model.model_config.tau=learned",
        "model.model_config.tie_word_embeddings=false",
        "model.model_config.block_norm_affine=true",
        "model.model_config.num_key_value_heads=1",
    ),
}


@pytest.mark.parametrize("settings", VARIANTS.values(), ids=VARIANTS.keys())
def test_other_models_resume_bitwise_too(train_here, tmp_path, settings):
    whole = train_here(*settings, "checkpoints.checkpoint_interval=4")
    stopped = rewound_copy(whole, tmp_path / "resumed", step=4)
    train_here(*settings, "checkpoints.checkpoint_interval=4", runs_folder=tmp_path / "resumed")
    assert len(event_steps(whole)) == 2
    assert_same_end(stopped, whole)


def test_metrics_of_every_third_step_go_on_as_they_were(train_here, tmp_path):
    settings = ("logging.iteration_step_info_interval=3", "checkpoints.checkpoint_interval=5")
    whole = train_here(*settings)
    stopped = rewound_copy(whole, tmp_path / "resumed", step=5)
    train_here(*settings, runs_folder=tmp_path / "resumed")
    assert metrics(stopped) == metrics(whole)
