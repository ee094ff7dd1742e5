"""SIGKILL at random moments of training, preparing and growing: what the same command makes then is the same."""

import shutil
import signal
import subprocess
import sys
import time

import pytest

from tests.support.campaign import Campaign
from tests.support.folders import all_bytes
from tests.support.training.launching import clean_environment, start_torchrun, start_training
from tests.support.training.run_files import assert_same_end, checkpoint
from tests.support.training.tiny_run import RUN, TWO_REPLICAS

pytestmark = pytest.mark.slow


def killed_trainings(campaign, start, kills: int, longest: float) -> None:
    """Starts the run again and again, and kills every process of it after a random time."""
    for _ in campaign.cases(kills):
        training = start()
        time.sleep(campaign.random.uniform(0, longest))
        was_running = training.is_running
        training.end()
        campaign.outcomes["killed" if was_running else "had ended"] += 1
    start().expect_success()


def seconds_of(start) -> float:
    began = time.monotonic()
    start().expect_success()
    return time.monotonic() - began


def test_training_in_one_process(tiny_config, reference, tmp_path):
    campaign = Campaign("kills of one process")

    def start():
        return start_training(tiny_config, f"general.runs_folder={tmp_path}")

    longest = seconds_of(start)
    for _ in range(2):
        shutil.rmtree(tmp_path / RUN)
        killed_trainings(campaign, start, 10, longest)
        assert_same_end(tmp_path / RUN, reference)
    campaign.end()


def test_training_under_torchrun(tiny_config, two_replicas, tmp_path):
    """The launcher alone is killed; its processes end by themselves, and hold the run as long."""
    campaign = Campaign("kills of torchrun, dp 2")

    def start():
        return start_torchrun(tiny_config, *TWO_REPLICAS, f"general.runs_folder={tmp_path}", ranks=2)

    longest = seconds_of(start)
    shutil.rmtree(tmp_path / RUN)
    for _ in campaign.cases(5):
        training = start()
        time.sleep(campaign.random.uniform(0, longest))
        campaign.outcomes["killed" if training.is_running else "had ended"] += 1
        training.end()
        deadline = time.monotonic() + 120
        while (tmp_path / RUN / ".tokenformer.lock").exists() and time.monotonic() < deadline:
            time.sleep(0.2)
    start().expect_success()
    assert_same_end(tmp_path / RUN, two_replicas)
    campaign.end()


def killed_commands(campaign, arguments: list[str], kills: int) -> None:
    """A command that is killed at random moments, and then left to end."""
    program = [sys.executable, "-m", "tokenformer", *arguments]
    for _ in campaign.cases(kills):
        process = subprocess.Popen(program, env=clean_environment(), stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
        time.sleep(campaign.random.uniform(0, 8))
        process.kill()
        said = process.communicate()[1].decode()
        campaign.outcomes["killed" if process.returncode == -signal.SIGKILL else "had ended"] += 1
        assert "Traceback" not in said
        if process.returncode != -signal.SIGKILL:
            return
    subprocess.run(program, env=clean_environment(), check=True, stdout=subprocess.DEVNULL)


def test_preparing(corpus_folder, tmp_path):
    campaign = Campaign("kills of prepare")
    texts, outputs = corpus_folder.parent / "texts", []
    for number in range(3):
        output = tmp_path / f"{number}" / "out"
        output.parent.mkdir()
        options = ["--unit", "line", "--vocabulary-size", "384", "--language", "fi", "--measure", "surprisal"]
        killed_commands(campaign, ["prepare", str(texts), "--output", str(output), *options], 4)
        assert [path.name for path in output.parent.iterdir()] == ["out"]
        files = all_bytes(output)
        outputs.append({name: content for name, content in files.items() if not name.startswith(("report", "checks"))})
    assert outputs[0] == outputs[1] == outputs[2]
    campaign.end()


def test_growing_on_disk(reference, tmp_path):
    campaign = Campaign("kills of grow")
    source, output = checkpoint(reference), tmp_path / "out"
    operator = ["--operator", "append_tokens", "--set", "factor=2"]
    killed_commands(campaign, ["grow", str(source), str(output), *operator], 5)
    assert [path.name for path in tmp_path.iterdir()] == ["out"]
    killed_commands(campaign, ["grow", str(source), str(tmp_path / "again"), *operator], 1)
    ours, theirs = (all_bytes(tmp_path / name / "model") for name in ("out", "again"))
    assert ours == theirs
    campaign.end()
