"""Two of the same command at once: one does the work, the other ends with one line."""

import subprocess
import sys
import time

import pytest

from tests.support.campaign import Campaign
from tests.support.training.launching import clean_environment, train_arguments
from tests.support.training.run_files import assert_same_end, checkpoint
from tests.support.training.tiny_run import RUN
from tokenformer.data.corpus import PreparedCorpus
from tokenformer.trainer.checkpoint.stored import StoredCheckpoint

pytestmark = pytest.mark.slow


def run_pair(campaign, arguments: list[str]) -> None:
    """Starts both, the second a random moment later; counts how they end."""
    pair = []
    for delay in (0, campaign.random.uniform(0, 2)):
        time.sleep(delay)
        program = [sys.executable, "-m", "tokenformer", *arguments]
        options = {"stdout": subprocess.DEVNULL, "stderr": subprocess.PIPE, "text": True}
        pair.append(subprocess.Popen(program, env=clean_environment(), **options))
    ends = [(process.communicate(timeout=300)[1], process.returncode) for process in pair]
    statuses = sorted(status for _, status in ends)
    campaign.outcomes[f"statuses {statuses[0]} and {statuses[1]}"] += 1
    for said, status in ends:
        lines = [line for line in said.splitlines() if line.startswith("tokenformer: ")]
        if "Traceback" in said or status not in (0, 2) or (status == 2 and len(lines) != 1):
            campaign.wrong.append(f"{arguments}: status {status}: {said[-500:]}")
    if statuses[0] != 0:
        campaign.wrong.append(f"{arguments}: nobody did the work: {ends}")


def test_two_preparations_to_one_output(corpus_folder, tmp_path):
    campaign = Campaign("pairs of prepare")
    options = [
        "--unit",
        "line",
        "--vocabulary-size",
        "384",
        "--language",
        "fi",
        "--measure",
        "surprisal",
        "--overwrite",
    ]
    for number in campaign.cases(6):
        output = tmp_path / f"{number}"
        run_pair(campaign, ["prepare", str(corpus_folder.parent / "texts"), "--output", str(output), *options])
        PreparedCorpus.open(output)
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(f"{number}" for number in campaign.cases(6))
    campaign.end()


def test_two_trainings_of_one_run(tiny_config, reference, tmp_path):
    campaign = Campaign("pairs of train")
    for number in campaign.cases(4):
        folder = f"general.runs_folder={tmp_path / f'{number}'}"
        run_pair(campaign, train_arguments(tiny_config, (folder,)))
        assert_same_end(tmp_path / f"{number}" / RUN, reference)
    campaign.end()


def test_two_growths_to_one_output(reference, tmp_path):
    campaign = Campaign("pairs of grow")
    for number in campaign.cases(3):
        output = tmp_path / f"{number}"
        operator = ["--operator", "append_tokens", "--set", "factor=2"]
        run_pair(campaign, ["grow", str(checkpoint(reference)), str(output), *operator])
        StoredCheckpoint(output)
    campaign.end()
