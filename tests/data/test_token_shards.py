"""Token shards: what is written is read back, by our reader and by datatrove's."""

import hashlib
import pickle

import numpy as np
import pytest
from datatrove.utils.dataset import DatatroveFolderDataset
from hypothesis import given
from hypothesis import strategies as st

from tests.support.cases import cases
from tokenformer.data.token_shards import ShardWriter, TokenShards, token_size
from tokenformer.errors import UserError

END = 0


def write(folder, documents, vocabulary_size=1000, tokens_per_shard=100):
    with ShardWriter(folder, "tokens", vocabulary_size, END, "../tokenizer", tokens_per_shard) as writer:
        for document in documents:
            writer.write(document)
    return writer


def corpora(largest_id):
    return st.lists(st.lists(st.integers(1, largest_id), max_size=30), min_size=1, max_size=40)


@given(st.data(), st.sampled_from([300, 2**16, 2**16 + 1, 200_000]), st.integers(1, 100))
def test_round_trip(tmp_path_factory, data, vocabulary_size, tokens_per_shard):
    documents = data.draw(corpora(vocabulary_size - 1))
    folder = tmp_path_factory.mktemp("shards")
    writer = write(folder, documents, vocabulary_size, tokens_per_shard)
    shards = TokenShards.open(folder, "tokens")
    ended = [[*document, END] for document in documents]
    assert [shards.document_tokens(number).tolist() for number in range(len(shards))] == ended
    assert shards.lengths.tolist() == [len(document) for document in ended]
    assert shards.lengths.dtype == np.int64
    assert shards.total == writer.tokens == sum(map(len, documents)) + len(documents)
    assert writer.documents == len(documents)
    assert shards.token_size == (2 if vocabulary_size <= 2**16 else 4)
    for path in shards.paths:
        tokens = path.stat().st_size // shards.token_size
        assert tokens <= tokens_per_shard or path.with_name(path.name + ".index").stat().st_size == 8


def test_datatrove_reads_the_same_tokens(tmp_path):
    random = np.random.default_rng(0)
    documents = [random.integers(1, 5000, size=size).tolist() for size in random.integers(0, 60, size=200)]
    for name, vocabulary_size in (("two", 5000), ("four", 100_000)):
        write(tmp_path / name, documents, vocabulary_size, tokens_per_shard=1000)
        shards = TokenShards.open(tmp_path / name, "tokens")
        assert len(shards.paths) > 1
        theirs = DatatroveFolderDataset(str(tmp_path / name), 0, "*.ds", token_size=shards.token_size)
        stream = [token for document in documents for token in (*document, END)]
        assert [int(theirs[place]["input_ids"][0]) for place in range(len(theirs))] == stream
        assert np.concatenate([shards.document_tokens(number) for number in range(len(shards))]).tolist() == stream


def test_datatrove_finds_the_document_borders(tmp_path):
    write(tmp_path, [[5] * length for length in (3, 0, 4)], tokens_per_shard=1000)
    (sample,) = (DatatroveFolderDataset(str(tmp_path), 9, "*.ds", return_positions=True)[0]["positions"].tolist(),)
    assert sample == [0, 1, 2, 3, 0, 0, 1, 2, 3, 4]


def test_the_files_are_as_the_format_says(tmp_path):
    writer = write(tmp_path, [[1, 258], [3]])
    assert (tmp_path / "tokens_00000.ds").read_bytes() == bytes([1, 0, 2, 1, 0, 0, 3, 0, 0, 0])
    assert (tmp_path / "tokens_00000.ds.index").read_bytes() == bytes([3, *[0] * 7, 5, *[0] * 7])
    assert (tmp_path / "tokens_00000.ds.metadata").read_text().splitlines()[:2] == ["../tokenizer|2", "5"]
    assert writer.digests == {
        "tokens_00000.ds": hashlib.sha256((tmp_path / "tokens_00000.ds").read_bytes()).hexdigest()
    }


def test_token_size():
    assert [token_size(size) for size in (257, 2**16, 2**16 + 1)] == [2, 2, 4]


@pytest.mark.parametrize("bad", [2**16, -1])
def test_an_id_that_does_not_fit_is_refused(tmp_path, bad):
    with pytest.raises(OverflowError, match="2 bytes"):
        write(tmp_path, [[1, bad]])


def test_reading_parts(tmp_path):
    write(tmp_path, [[1, 2, 3], [4]])
    shards = TokenShards.open(tmp_path, "tokens")
    assert shards.read(0, 1, 4).tolist() == [2, 3, END]
    assert shards.read(1, 1, 1).tolist() == []
    for document, start, stop in [(0, 0, 5), (0, -1, 2), (0, 3, 2), (2, 0, 1), (-1, 0, 1)]:
        with pytest.raises(IndexError):
            shards.read(document, start, stop)


def test_a_pickled_reader_maps_the_files_anew(tmp_path):
    write(tmp_path, [[1] * 100_000, [3]])
    shards = TokenShards.open(tmp_path, "tokens")
    shards.document_tokens(0)
    pickled = pickle.dumps(shards)
    assert len(pickled) < 10_000
    assert pickle.loads(pickled).document_tokens(1).tolist() == [3, END]


@cases(
    lambda folder: (folder / "tokens_00000.ds.index").unlink(),
    lambda folder: (folder / "tokens_00000.ds.metadata").unlink(),
    lambda folder: (folder / "tokens_00000.ds.metadata").write_text("tokenizer"),
    lambda folder: (folder / "tokens_00000.ds").write_bytes(b"\1\0"),
    lambda folder: (folder / "tokens_00000.ds.index").write_bytes(b"\1\0\0"),
    lambda folder: (folder / "tokens_00000.ds.index").write_bytes(b""),
    lambda folder: [path.unlink() for path in folder.iterdir()],
)
def test_damage_is_found_on_opening(tmp_path, damage):
    write(tmp_path, [[1, 2], [3]])
    damage(tmp_path)
    with pytest.raises(UserError, match="prepare") as error:
        TokenShards.open(tmp_path, "tokens")
    assert str(tmp_path) in str(error.value)
