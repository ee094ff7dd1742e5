"""The shipped config in bfloat16 on real text: 500 steps at its learning rate, growth included."""

import math

import pytest
import yaml

from tests.support.training.run_files import growth_lines, metrics, step_lines
from tokenformer.data.prepare import PrepareOptions, prepare_corpus
from tokenformer.data.reading import InputSource

FILES = ("01_childes", "02_storybooks", "03_readers_grade1-2", "11_expository")
STEPS = 500
SETTINGS = (
    "model.dtype=bfloat16",
    "optimizer.accumulate_grad_in_fp32=true",
    f"tokens.train_steps={STEPS}",
    "tokens.sequence_length=64",
    "tokens.micro_batch_size=8",
    f"tokens.val_check_interval={STEPS}",
    f"checkpoints.checkpoint_interval={STEPS}",
    "optimizer.learning_rate_scheduler.lr_decay_starting_step=400",
    "optimizer.learning_rate_scheduler.lr_decay_steps=100",
    "growth.earliest_step=100",
    "growth.minimum_steps_between=100",
    "validation.batch_size=16",
)


@pytest.fixture(scope="module")
def english(shared_data, tmp_path_factory):
    """A corpus of speech to children, story books, readers and expository prose; its validation split is small."""
    folder = tmp_path_factory.mktemp("english")
    options = PrepareOptions(
        inputs=[InputSource(shared_data / "en" / "train" / f"{name}.txt") for name in FILES],
        output=folder / "prepared",
        unit="line",
        measure="lix",
        vocabulary_size=2048,
        validation_share=0.002,
    )
    prepare_corpus(options)
    return options.output


@pytest.mark.slow
def test_500_steps_at_the_shipped_learning_rate_stay_finite(command_line, repository, english, tmp_path):
    config = repository / "configs" / "tokenformer.yaml"
    places = (f"data_stages.0.data.dataset.dataset_folder={english}", f"general.runs_folder={tmp_path}")
    assert command_line(*SETTINGS, *places, config=config) == 0

    run = tmp_path / yaml.safe_load(config.read_text(encoding="utf-8"))["general"]["run"]
    lines = step_lines(run)
    assert [line["iteration_step"] for line in lines] == list(range(1, STEPS + 1))
    assert max(line["lr"] for line in lines) == pytest.approx(4e-3)
    assert all(math.isfinite(line[key]) for line in lines for key in ("lm_loss", "grad_norm"))
    assert len(growth_lines(run)) == 2
    # Of held-out text, since what is trained on gets harder.
    untrained, *_, last = (line["val/loss"] for line in metrics(run) if "val/loss" in line)
    assert last < untrained - 2, f"{untrained} nats a token before training, {last} in the end"
