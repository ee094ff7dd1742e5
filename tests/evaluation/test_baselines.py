"""The n-gram baselines of a run: the right model on the right text, and not measured twice."""

import json
import math

import numpy as np
import pytest

from tokenformer.config.loading import as_yaml, load_config
from tokenformer.errors import UserError
from tokenformer.evaluation import baselines
from tokenformer.evaluation.held_out import held_out_levels
from tokenformer.evaluation.ngram_baseline import KneserNeyModel


@pytest.fixture
def run_folder(corpus, repository, tmp_path):
    """A folder with the resolved config of a run on the corpus, as `train` writes it."""
    settings = [f"data_stages.0.data.dataset.dataset_folder={corpus.folder}", "general.run=run"]
    config = load_config(repository / "configs" / "tokenformer.yaml", settings)
    folder = tmp_path / "run"
    folder.mkdir()
    (folder / "config.yaml").write_text(as_yaml(config), encoding="utf-8")
    return folder


def read(run_folder) -> dict:
    return json.loads((run_folder / "baselines.json").read_text(encoding="utf-8"))


def set_levels(run_folder, levels: int) -> None:
    config = load_config(run_folder / "config.yaml", [f"validation.levels={levels}"])
    (run_folder / "config.yaml").write_text(as_yaml(config), encoding="utf-8")


def test_the_training_stream_is_every_document_once_with_its_end(corpus):
    stream = baselines.training_stream(corpus)
    assert len(stream) == corpus.train.tokens.sum()
    ends = np.flatnonzero(stream == corpus.end_of_document_id)
    assert (ends + 1).tolist() == np.cumsum(corpus.train.tokens).tolist()
    last = len(corpus.train) - 1
    assert stream[-corpus.train.tokens[last] :].tolist() == corpus.train.shards.document_tokens(last).tolist()


@pytest.mark.parametrize(("name", "order"), [("unigram", 1), ("bigram", 2), ("trigram", 3)])
def test_a_baseline_is_the_kneser_ney_model_of_the_training_text(corpus, run_folder, name, order):
    baselines.ensure_baselines(run_folder)
    training = np.concatenate([corpus.train.shards.document_tokens(i) for i in range(len(corpus.train))])
    model = KneserNeyModel.fit(training, corpus.vocabulary_size, order, end_of_document=corpus.end_of_document_id)
    table, nats = corpus.validation, np.zeros(len(corpus.validation))
    for document in range(len(table)):
        nats[document] = -model.log_probabilities(table.shards.document_tokens(document)).sum()
    measured = read(run_folder)[name]
    groups = {"": np.ones(len(table), dtype=bool)}
    groups |= {f"/{source}": table.source == index for index, source in enumerate(corpus.sources)}
    for suffix, chosen in groups.items():
        assert measured[f"val/loss{suffix}"] == pytest.approx(nats[chosen].sum() / table.tokens[chosen].sum())
        bits = nats[chosen].sum() / math.log(2) / table.bytes[chosen].sum()
        assert measured[f"val/bits_per_byte{suffix}"] == pytest.approx(bits)
    assert len(measured) == 2 * len(groups)


def test_measuring_needs_no_files(corpus):
    measured = baselines.measure_baselines(corpus, held_out_levels(corpus, 2))
    assert measured.keys() == {"unigram", "bigram", "trigram"}
    assert all("val/loss/level-2" in losses for losses in measured.values())


def test_a_second_call_measures_nothing(run_folder, monkeypatch):
    baselines.ensure_baselines(run_folder)
    before = (run_folder / "baselines.json").stat()
    monkeypatch.setattr(baselines, "measure_baselines", lambda *arguments: pytest.fail("measured again"))
    baselines.ensure_baselines(run_folder)
    after = (run_folder / "baselines.json").stat()
    assert (after.st_ino, after.st_mtime_ns) == (before.st_ino, before.st_mtime_ns)


def test_other_levels_are_measured_again(run_folder):
    baselines.ensure_baselines(run_folder)
    by_source = read(run_folder)
    set_levels(run_folder, 3)
    baselines.ensure_baselines(run_folder)
    by_level = read(run_folder)
    assert "val/loss/level-3" in by_level["trigram"] and "val/loss/level-3" not in by_source["trigram"]
    assert by_level["trigram"]["val/loss"] == pytest.approx(by_source["trigram"]["val/loss"])


def test_another_corpus_is_measured_again(corpus, run_folder):
    baselines.ensure_baselines(run_folder)
    measured = read(run_folder)
    assert measured["measured_on"] == {"corpus": corpus.fingerprint, "levels": "source"}
    (run_folder / "baselines.json").write_text(
        json.dumps(measured | {"measured_on": {"corpus": "other", "levels": "source"}, "unigram": {}})
    )
    baselines.ensure_baselines(run_folder)
    assert read(run_folder) == measured


def test_a_folder_that_is_no_run_is_refused(tmp_path):
    with pytest.raises(UserError, match="is no run's folder: it has no config.yaml") as caught:
        baselines.ensure_baselines(tmp_path)
    assert str(tmp_path) in str(caught.value)


def test_a_run_whose_corpus_is_gone_is_refused(run_folder, tmp_path):
    gone = tmp_path / "gone"
    config = load_config(run_folder / "config.yaml", [f"data_stages.0.data.dataset.dataset_folder={gone}"])
    (run_folder / "config.yaml").write_text(as_yaml(config), encoding="utf-8")
    with pytest.raises(UserError, match="there is no prepared corpus") as caught:
        baselines.ensure_baselines(run_folder)
    assert str(gone) in str(caught.value)
    assert not (run_folder / "baselines.json").exists()
