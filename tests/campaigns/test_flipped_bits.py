"""One flipped bit in any file of a checkpoint, a corpus, or a run's folder."""

import shutil
from pathlib import Path

import pytest

from tests.support.campaign import Campaign, flipped
from tests.support.folders import all_bytes, forget_checksums
from tests.support.training.run_files import checkpoint
from tokenformer.data.corpus import PreparedCorpus
from tokenformer.evaluation.baselines import ensure_baselines
from tokenformer.reports.report import report_text
from tokenformer.run_folder.record import RunRecord
from tokenformer.trainer.checkpoint.records import read_curriculum, read_growth
from tokenformer.trainer.checkpoint.stored import StoredCheckpoint

pytestmark = pytest.mark.slow


def read_checkpoint(folder: Path) -> None:
    """Everything that a resumed run reads."""
    stored = StoredCheckpoint(folder)
    for state in stored.values():
        assert state.weight is not None
    stored.schedule(), stored.step, read_growth(folder), read_curriculum(folder)


def read_run(folder: Path) -> None:
    report_text(RunRecord.open(folder))


def flip_bits(campaign: Campaign, folder: Path, names: list[str], read, usual: int, must_notice: bool) -> None:
    for number in campaign.cases(usual):
        name = names[number % len(names)]
        content = (folder / name).read_bytes()
        (folder / name).write_bytes(flipped(content, campaign.random))
        before = campaign.outcomes["went on"]
        with campaign.case(name):
            read(folder)
        if must_notice and campaign.outcomes["went on"] > before:
            campaign.wrong.append(f"{name}: nobody noticed")
        (folder / name).write_bytes(content)


def test_every_flipped_bit_of_a_checkpoint_is_noticed(reference, tmp_path):
    folder, campaign = shutil.copytree(checkpoint(reference), tmp_path / "copy"), Campaign("bits of a checkpoint")
    flip_bits(campaign, folder, sorted(all_bytes(folder)), read_checkpoint, 500, must_notice=True)
    campaign.end()


def test_every_flipped_bit_of_a_corpus_is_noticed(corpus_folder, tmp_path):
    folder, campaign = shutil.copytree(corpus_folder, tmp_path / "copy"), Campaign("bits of a corpus")
    flip_bits(campaign, folder, sorted(all_bytes(folder)), PreparedCorpus.open, 500, must_notice=True)
    campaign.end()


def test_no_flipped_bit_of_an_older_checkpoint_or_corpus_makes_a_traceback(reference, corpus_folder, tmp_path):
    campaign = Campaign("bits without checksums")
    folder = forget_checksums(shutil.copytree(checkpoint(reference), tmp_path / "checkpoint"))
    records = [name for name in sorted(all_bytes(folder)) if name.endswith(".json")]
    flip_bits(campaign, folder, records, read_checkpoint, 150, must_notice=False)
    folder = forget_checksums(shutil.copytree(corpus_folder, tmp_path / "corpus"))
    flip_bits(campaign, folder, sorted(all_bytes(folder)), PreparedCorpus.open, 150, must_notice=False)
    campaign.end()


def test_no_flipped_bit_of_a_runs_folder_makes_a_traceback(reference, tmp_path):
    folder = shutil.copytree(reference, tmp_path / "run", ignore=shutil.ignore_patterns("checkpoints"))
    ensure_baselines(folder)
    campaign = Campaign("bits of a run's folder")
    flip_bits(campaign, folder, sorted(all_bytes(folder)), read_run, 400, must_notice=False)
    campaign.end()
