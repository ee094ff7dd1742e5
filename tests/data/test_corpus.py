"""Opening a prepared corpus: its contents, and what is said when something is wrong with it."""

import json
import re
import shutil

import numpy as np
import pytest

from tests.support.cases import cases
from tests.support.folders import forget_checksums
from tokenformer.data.corpus import PreparedCorpus
from tokenformer.data.prepare import PrepareOptions, prepare_corpus
from tokenformer.data.reading import InputSource
from tokenformer.errors import UserError


@pytest.fixture
def folder(stand_in_measure, two_sources, tmp_path):
    output = tmp_path / "out"
    prepare_corpus(
        PrepareOptions([InputSource(two_sources)], output, vocabulary_size=300, validation_share=0.1, language="en")
    )
    return output


def test_contents(folder):
    corpus = PreparedCorpus.open(folder)
    assert (corpus.folder, corpus.tokenizer_folder) == (folder, folder / "tokenizer")
    assert (corpus.vocabulary_size, corpus.end_of_document_id) == (300, 0)
    assert (corpus.language, corpus.measure, corpus.measure_unit) == ("en", "surprisal", "characters per word")
    assert (corpus.sources, corpus.weights) == (["easy", "hard"], [1.0, 1.0])
    for table in (corpus.train, corpus.validation):
        assert {len(column) for column in table.columns().values()} == {len(table)} == {len(table.shards)}


def test_the_fingerprint_stands_for_the_content_and_not_the_place(folder, tmp_path):
    fingerprint = PreparedCorpus.open(folder).fingerprint
    shutil.move(folder, tmp_path / "moved")
    assert PreparedCorpus.open(tmp_path / "moved").fingerprint == fingerprint
    manifest = json.loads((tmp_path / "moved" / "corpus.json").read_text())
    manifest["weights"] = [1.0, 2.0]
    forget_checksums(tmp_path / "moved")
    (tmp_path / "moved" / "corpus.json").write_text(json.dumps(manifest))
    assert PreparedCorpus.open(tmp_path / "moved").fingerprint != fingerprint


def change_manifest(folder, **changes):
    manifest = json.loads((folder / "corpus.json").read_text())
    (folder / "corpus.json").write_text(json.dumps(manifest | changes))


def swap_tables(folder):
    one, other = folder / "train" / "documents.parquet", folder / "validation" / "documents.parquet"
    content = one.read_bytes()
    one.write_bytes(other.read_bytes())
    other.write_bytes(content)


@cases(
    (lambda folder: shutil.rmtree(folder), "no prepared corpus at"),
    (lambda folder: (folder / "corpus.json").unlink(), "unfinished"),
    (lambda folder: (folder / "corpus.json").write_text("{"), "not a corpus manifest"),
    (lambda folder: (folder / "corpus.json").write_text("[]"), "not a corpus manifest"),
    (lambda folder: (folder / "corpus.json").write_text('{"format": "x"}'), "not a corpus manifest"),
    (lambda folder: change_manifest(folder, version=99), "version 99, and this tokenformer reads version 1"),
    (lambda folder: (folder / "tokenizer" / "tokenizer.json").unlink(), "tokenizer.json is missing"),
    (lambda folder: (folder / "train" / "documents.parquet").unlink(), "documents.parquet cannot be read"),
    (lambda folder: (folder / "train" / "documents.parquet").write_bytes(b"PAR1"), "cannot be read"),
    (swap_tables, "different documents"),
    (lambda folder: shutil.rmtree(folder / "validation"), "cannot be read"),
    (lambda folder: (folder / "train" / "tokens_00000.ds").unlink(), "no token shards"),
)
def test_damage_is_explained_with_the_remedy(folder, damage, message):
    damage(forget_checksums(folder))
    with pytest.raises(UserError, match=message) as error:
        PreparedCorpus.open(folder)
    assert str(folder) in str(error.value)
    assert "tokenformer prepare" in str(error.value)


@cases(
    ("train/documents.parquet",),
    ("validation/tokens_00000.ds",),
    ("tokenizer/tokenizer.json",),
    ("corpus.json",),
    ("checksums.json",),
)
def test_a_flipped_bit_is_noticed_and_its_file_named(folder, name):
    content = bytearray((folder / name).read_bytes())
    content[len(content) // 2] ^= 1
    (folder / name).write_bytes(content)
    with pytest.raises(UserError, match=f"{re.escape(str(folder / name))} is damaged.*tokenformer prepare"):
        PreparedCorpus.open(folder)


def test_tables_can_be_shared_between_opens(folder):
    one, other = PreparedCorpus.open(folder), PreparedCorpus.open(folder)
    for name, column in one.train.columns().items():
        assert np.array_equal(column, other.train.columns()[name])
