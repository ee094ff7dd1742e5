"""The loss of texts under a stored checkpoint, against the loss that training computes, and by the command line."""

import pickle
import re

import numpy as np
import pytest
import torch

from tests.support.training.run_files import checkpoint
from tokenformer.cli import main
from tokenformer.complexity import score
from tokenformer.config.loading import load_config
from tokenformer.data.corpus import PreparedCorpus
from tokenformer.data.tokenizer import load_tokenizer
from tokenformer.errors import UserError
from tokenformer.trainer.checkpoint import checkpoint_losses
from tokenformer.trainer.checkpoint.checkpoint_losses import CheckpointLosses, measure_of_models
from tokenformer.trainer.checkpoint.loaded_model import tokenizer_of_run
from tokenformer.trainer.checkpoint.restore import restore
from tokenformer.trainer.checkpoint.stored import StoredCheckpoint
from tokenformer.trainer.checkpoint.written import built_model, one_process

TEXTS = ["a cat sat", "", "the dog ran to it and the cat sat on the mat " * 20, "dog"]


@pytest.fixture(scope="module")
def losses(reference) -> CheckpointLosses:
    return CheckpointLosses(checkpoint(reference))


def expected_nats(folder, tokens: list[int], end: int, length: int) -> float:
    """By the model's own loss, window after window, alone."""
    stored, stream, nats = StoredCheckpoint(folder), [end, *tokens], 0.0
    with one_process() as context, torch.no_grad():
        model = built_model(stored.model_config, stored.dtype, context)
        restore(model, None, None, stored.__getitem__)
        for start in range(0, len(tokens), length):
            window = torch.tensor([stream[start : start + length + 1]])
            everything = torch.ones_like(window[:, 1:], dtype=torch.bool)
            arguments = {"input_ids": window[:, :-1], "input_mask": everything, "label_ids": window[:, 1:]}
            nats += model(**arguments, label_mask=everything)["loss"].item() * everything.sum().item()
    return nats


def test_equal_to_the_loss_of_training(losses, reference):
    nats, tokens = losses(TEXTS)
    encoded = losses.tokenizer.encode_batch(TEXTS)
    assert tokens.tolist() == [len(ids) for ids in encoded] and max(tokens) > losses.context_length
    end = losses.tokenizer.end_of_document_id
    expected = [expected_nats(checkpoint(reference), ids, end, losses.context_length) for ids in encoded]
    np.testing.assert_allclose(nats, expected, rtol=1e-5)


def test_what_stands_beside_a_text_does_not_matter(losses, monkeypatch):
    together = losses(TEXTS)[0]
    monkeypatch.setattr(checkpoint_losses, "TOKENS_AT_ONCE", 1)
    np.testing.assert_allclose(losses(TEXTS)[0], together, rtol=1e-5)
    np.testing.assert_allclose(pickle.loads(pickle.dumps(losses))(TEXTS[:1])[0], together[:1], rtol=1e-5)


def test_perplexity_and_gap_of_the_training_text(losses, reference):
    """A trained model loses less on its text than at its beginning, and so the gap is positive."""
    early = CheckpointLosses(min((reference / "checkpoints").glob("[0-9]*"), key=lambda folder: int(folder.name)))
    corpus = PreparedCorpus.open(load_config(reference / "config.yaml").corpus_folder)
    tokenizer = load_tokenizer(corpus.tokenizer_folder)
    texts = [tokenizer.decode(corpus.train.shards.document_tokens(index).tolist()[:-1]) for index in range(20)]
    weak, strong = (score(texts, "en", "perplexity", model=model) for model in (early, losses))
    gap = score(texts, "en", "loss_gap", weak=early, strong=losses)
    np.testing.assert_allclose(gap, weak - strong, rtol=1e-9)
    assert gap.mean() > 0


def test_finite_for_awkward_texts_and_not_changed_by_doubling(losses):
    texts = ["", " \n", "\0", "\ud800", "😀" * 50, "å\u0308 a\u030a", "a cat\n\nsat on it"]
    forms = [*texts, *(f"{text}\n\n{text}" for text in texts)]
    once, doubled = score(forms, "sv", "perplexity", model=losses).reshape(2, -1)
    assert np.isfinite(once).all()
    np.testing.assert_allclose(doubled, once, rtol=1e-5)


def test_by_the_command_line(reference, tmp_path, capsys):
    folder = str(checkpoint(reference))
    assert main(["score", TEXTS[0], "--language", "en", "--reference", folder]) == 0
    (value,) = re.findall(r"perplexity +([\d.]+)  nats per token", capsys.readouterr().out)
    nats, tokens = CheckpointLosses(checkpoint(reference))(TEXTS[:1])
    assert float(value) == pytest.approx(nats[0] / tokens[0], abs=2e-3)
    (tmp_path / "text.txt").write_text("\n\n".join(f"the cat {number}" for number in range(100)))
    words = ["prepare", str(tmp_path / "text.txt"), "--output", str(tmp_path / "out"), "--unit", "paragraph"]
    assert (
        main([*words, "--vocabulary-size", "300", "--validation-share", "0.1", "--reference", folder, "--weak", folder])
        == 0
    )
    corpus = PreparedCorpus.open(tmp_path / "out")
    assert corpus.measure == "loss_gap" and not corpus.train.complexity.any()


def test_mistakes(reference, tmp_path):
    folder = checkpoint(reference)
    with pytest.raises(UserError, match="a weak model goes with a reference"):
        measure_of_models(None, None, folder, None)
    for measure, weak in (("lix", None), ("perplexity", folder), ("loss_gap", None)):
        with pytest.raises(UserError, match=f"'{measure}' cannot use these checkpoints"):
            measure_of_models(measure, folder, weak, None)
    with pytest.raises(UserError):
        CheckpointLosses(tmp_path)
    elsewhere = tmp_path / "copied"
    elsewhere.symlink_to(folder)
    (tmp_path / "a" / "b").mkdir(parents=True)
    with pytest.raises(UserError, match="lies in no run's folder.*give the tokenizer's folder"):
        tokenizer_of_run(tmp_path / "a" / "b")
