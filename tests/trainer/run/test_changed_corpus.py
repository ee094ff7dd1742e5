"""A run whose corpus was prepared again: every verb says so, or works with what the checkpoint carries."""

import shutil

import pytest

from tests.support.training.run_files import checkpoint, rewound_copy
from tests.support.training.tiny_run import RUN
from tokenformer.cli import main
from tokenformer.trainer.checkpoint.loaded_model import tokenizer_of
from tokenformer.trainer.checkpoint.records import read_curriculum
from tokenformer.trainer.checkpoint.stored import StoredCheckpoint


@pytest.fixture(scope="module")
def places(reference, corpus_folder, other_corpus_folder, command_line, tmp_path_factory):
    """Folder of the runs, and a corpus that was replaced after the run's last steps."""
    runs = tmp_path_factory.mktemp("runs")
    corpus = shutil.copytree(corpus_folder, runs / "corpus")
    rewound_copy(reference, runs, 15)
    place = f"data_stages.0.data.dataset.dataset_folder={corpus}"
    assert command_line(place, f"general.runs_folder={runs}") == 0
    shutil.rmtree(corpus)
    shutil.copytree(other_corpus_folder, corpus)
    return runs, corpus, place


def tokenizer_bytes(folder):
    return (folder / "tokenizer.json").read_bytes()


def test_the_checkpoint_carries_its_tokenizer(places, corpus_folder, other_corpus_folder, tmp_path, capsys):
    runs, corpus, _ = places
    stored = StoredCheckpoint(checkpoint(runs / RUN))
    trained_with = tokenizer_bytes(corpus_folder / "tokenizer")
    assert tokenizer_bytes(stored.tokenizer_folder) == trained_with != tokenizer_bytes(corpus / "tokenizer")
    assert tokenizer_of(stored, None).folder == stored.tokenizer_folder
    grown = tmp_path / "grown"
    assert main(["grow", str(stored.folder), str(grown), "--operator", "append_tokens", "--set", "factor=2"]) == 0
    assert tokenizer_bytes(grown / "tokenizer") == trained_with
    assert read_curriculum(grown).corpus == read_curriculum(stored.folder).corpus is not None


def test_training_does_not_go_on(places, refusal, reference):
    runs, corpus, place = places
    rewound_copy(reference, runs / "rewound", 9)
    message = refusal(place, runs_folder=runs / "rewound")
    assert f"trained on another corpus than {corpus} now is, which was prepared again" in message


def test_an_export_has_the_tokenizer_of_the_training_and_is_silent_of_the_corpus(
    places, corpus_folder, tmp_path, capsys
):
    pytest.importorskip("transformers")
    runs, corpus, _ = places
    assert main(["export", str(runs / RUN), str(tmp_path / "export")]) == 0
    assert f"whose corpus {corpus} was prepared again since" in capsys.readouterr().out
    assert tokenizer_bytes(tmp_path / "export") == tokenizer_bytes(corpus_folder / "tokenizer")
    assert "was prepared again after this training" in (tmp_path / "export" / "README.md").read_text()
    assert main(["import", str(tmp_path / "export"), str(tmp_path / "back")]) == 0
    assert tokenizer_bytes(tmp_path / "back" / "tokenizer") == tokenizer_bytes(corpus_folder / "tokenizer")


def test_a_report_measures_no_baselines_on_other_text(places, capsys):
    pytest.importorskip("matplotlib")
    runs, corpus, _ = places
    assert main(["report", str(runs / RUN)]) == 0
    assert f"Note: the corpus {corpus} was prepared again after this run read it" in capsys.readouterr().out
    assert not (runs / RUN / "baselines.json").exists()
