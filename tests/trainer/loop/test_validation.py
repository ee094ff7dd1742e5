"""Held-out loss of a live model against cross entropy summed token by token."""

import math

import numpy as np
import pytest
import torch
from torch.nn import functional

from tokenformer.trainer.loop.validation import HeldOutLoss


def level_streams(corpus):
    """Of each source: the ids of its held-out documents after one end-of-document token, and their bytes."""
    for index, source in enumerate(corpus.sources):
        documents = [number for number, of in enumerate(corpus.validation.source) if of == index]
        ids = [corpus.end_of_document_id]
        for document in documents:
            ids.extend(int(token) for token in corpus.validation.shards.document_tokens(document))
        yield source, ids, sum(int(corpus.validation.bytes[document]) for document in documents)


@torch.no_grad()
def nats_by_definition(model, ids, length):
    """The stream in pieces of `length`, one forward pass each; every token but the first is predicted once."""
    total = 0.0
    for start in range(0, len(ids) - 1, length):
        piece = torch.tensor(ids[start : start + length + 1])
        inputs, targets = piece[None, :-1], piece[1:]
        logits = model.model(input_ids=inputs, input_mask=torch.ones_like(inputs, dtype=torch.bool))
        total += functional.cross_entropy(logits[:, 0].double(), targets, reduction="sum").item()
    return total


@pytest.fixture(scope="module")
def measured(live_trainer):
    """Held-out loss by the package and by definition, of a model that has learned a little."""
    with live_trainer("tokens.train_steps=6", "checkpoints.checkpoint_interval=6", "growth=null") as trainer:
        trainer.fit()
        model, held_out = trainer.unwrapped_model, trainer.held_out
        by_batch = {
            size: HeldOutLoss(held_out.levels, 32, size, trainer.parallel_context).measure(model)
            for size in (1, 3, 1000)
        }
        streams = list(level_streams(trainer.run.corpus))
        nats = {source: nats_by_definition(model, ids, 32) for source, ids, _ in streams}
        held_batches = [held_out.held_batch_loss(model) for _ in range(2)]
    return by_batch, streams, nats, held_batches


def test_each_level_is_the_mean_over_its_tokens(measured):
    by_batch, streams, nats, _ = measured
    assert len(streams) == 3
    for source, ids, size in streams:
        loss = nats[source] / (len(ids) - 1)
        assert by_batch[3][f"val/loss/{source}"] == pytest.approx(loss, rel=1e-6)
        assert by_batch[3][f"val/bits_per_byte/{source}"] == pytest.approx(nats[source] / math.log(2) / size, rel=1e-6)


def test_the_whole_is_the_mean_over_all_tokens(measured):
    by_batch, streams, nats, _ = measured
    tokens = sum(len(ids) - 1 for _, ids, _ in streams)
    size = sum(size for _, _, size in streams)
    assert by_batch[3]["val/loss"] == pytest.approx(sum(nats.values()) / tokens, rel=1e-6)
    assert by_batch[3]["val/bits_per_byte"] == pytest.approx(sum(nats.values()) / math.log(2) / size, rel=1e-6)


def test_the_size_of_batches_does_not_matter(measured):
    by_batch, *_ = measured
    for size in (1, 1000):
        np.testing.assert_allclose(list(by_batch[size].values()), list(by_batch[3].values()), rtol=1e-6)


def test_the_held_batch_is_always_the_same(measured):
    *_, held_batches = measured
    assert held_batches[0] == held_batches[1] > 0
