"""Samples cut out of the stream of documents: nothing lost, nothing twice, whoever reads."""

import pickle

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from torch.utils.data import DataLoader

from tokenformer.data.token_shards import ShardWriter, TokenShards
from tokenformer.trainer.loop.sample_dataset import SampleDataset

END = 0


@pytest.fixture(scope="module")
def shards(tmp_path_factory):
    """Twelve documents of 0 to 40 tokens, no token twice but the end, in several shards."""
    folder = tmp_path_factory.mktemp("shards")
    token = iter(range(1, 1000))
    with ShardWriter(folder, "tokens", 1000, END, "tokenizer", tokens_per_shard=50) as writer:
        for length in (3, 0, 40, 1, 7, 0, 0, 12, 30, 2, 5, 9):
            writer.write([next(token) for _ in range(length)])
    return TokenShards.open(folder, "tokens")


def stream_of(shards, order):
    return np.concatenate([np.zeros(0, np.int64), *(shards.document_tokens(document) for document in order)])


@given(st.lists(st.integers(0, 11), max_size=40), st.integers(1, 60))
def test_samples_give_the_stream_exactly_once(shards, order, length):
    dataset = SampleDataset(shards, np.array(order, dtype=np.int64), length)
    stream = stream_of(shards, order)
    samples = [dataset[number]["input_ids"] for number in range(len(dataset))]
    inputs = np.concatenate([np.zeros(0, np.int64), *(sample[:-1] for sample in samples)])
    targets = np.concatenate([np.zeros(0, np.int64), *(sample[1:] for sample in samples)])
    covered = len(dataset) * length
    assert np.array_equal(inputs, stream[:covered])
    assert np.array_equal(targets, stream[1 : covered + 1])
    assert 0 <= max(0, len(stream) - 1) - covered < length
    assert all(sample.dtype == np.int64 and sample.shape == (length + 1,) for sample in samples)


@given(st.permutations(range(12)))
def test_a_permutation_changes_the_order_and_nothing_else(shards, order):
    dataset = SampleDataset(shards, np.array(order), 1)
    tokens = [int(dataset[number]["input_ids"][0]) for number in range(len(dataset))]
    tokens.append(int(dataset[len(dataset) - 1]["input_ids"][1]))
    assert sorted(tokens) == sorted(stream_of(shards, range(12)).tolist())


@pytest.mark.parametrize("context", ["fork", "spawn"])
def test_samples_do_not_depend_on_workers(shards, context):
    dataset = SampleDataset(shards, np.arange(12)[::-1].copy(), 4)
    alone = [dataset[number]["input_ids"].tolist() for number in range(len(dataset))]
    loader = DataLoader(dataset, batch_size=1, num_workers=2, multiprocessing_context=context)
    assert [batch["input_ids"][0].tolist() for batch in loader] == alone


def test_a_sample_depends_on_its_index_alone(shards):
    order = np.arange(12)
    dataset = SampleDataset(shards, order, 5)
    backwards = [dataset[number]["input_ids"].tolist() for number in reversed(range(len(dataset)))]
    copy = pickle.loads(pickle.dumps(dataset))
    assert [copy[number]["input_ids"].tolist() for number in range(len(copy))] == backwards[::-1]


def test_outside_of_the_dataset(shards):
    dataset = SampleDataset(shards, np.arange(12), 10)
    for number in (-1, len(dataset)):
        with pytest.raises(IndexError):
            dataset[number]
    assert len(list(dataset)) == len(dataset)
    for order in ([12], [-1]):
        with pytest.raises(IndexError, match="outside of the 12"):
            SampleDataset(shards, np.array(order), 10)
    with pytest.raises(ValueError):
        SampleDataset(shards, np.arange(12), 0)
