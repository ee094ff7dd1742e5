"""A checkpoint says whose it is, and what came to nothing binds nobody."""

import json

import pytest

from tests.support.training.run_files import files, forget_configs, rewound_copy
from tests.support.training.tiny_run import RUN
from tokenformer.trainer.run.prepared_run import PreparedRun
from tokenformer.trainer.run.start import starting_point

RATE = "optimizer.learning_rate_scheduler.learning_rate"


@pytest.fixture
def start(tiny_config, tmp_path):
    def start(*settings):
        return starting_point(PreparedRun.from_file(tiny_config, [*settings, f"general.runs_folder={tmp_path}"]))

    return start


def test_the_checkpoint_of_another_run_is_refused_by_its_name(reference, refusal, tmp_path):
    stopped = rewound_copy(reference, tmp_path / "theirs", step=5)
    before = files(tmp_path)
    shared = f"checkpoints.checkpoints_path={stopped / 'checkpoints'}"
    message = refusal("general.run=mine", f"{RATE}=1.0e-4", shared)
    assert f"{stopped / 'checkpoints' / '5'} belongs to the run {RUN}, and this run is mine" in message
    assert "checkpoints.checkpoints_path" in message and f"general.run={RUN}" in message
    assert RATE in refusal(f"{RATE}=1.0e-4", shared)
    assert files(tmp_path) == before


def test_a_checkpoint_without_its_runs_config_goes_on(reference, start, refusal, tmp_path):
    stopped = rewound_copy(reference, tmp_path, step=5)
    config = (stopped / "config.yaml").read_bytes()
    forget_configs(stopped)
    assert start().step == 5
    (stopped / "config.yaml").write_bytes(config)
    assert start().step == 5
    assert RATE in refusal(f"{RATE}=1.0e-4")


@pytest.mark.parametrize("steps", [(), (0,), (0, 1)])
def test_a_config_binds_once_a_step_is_done(reference, start, refusal, tmp_path, steps):
    folder = tmp_path / RUN
    folder.mkdir()
    (folder / "config.yaml").write_bytes((reference / "config.yaml").read_bytes())
    (folder / "metrics.jsonl").write_text("".join(json.dumps({"iteration_step": step}) + "\n" for step in steps))
    if 1 in steps:
        assert RATE in refusal(f"{RATE}=1.0e-4")
    else:
        assert start(f"{RATE}=1.0e-4").checkpoint is None
