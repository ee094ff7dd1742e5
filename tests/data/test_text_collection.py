import gzip

import pytest

from tests.support.cases import refused
from tokenformer.data.prepare import PrepareOptions, prepare_corpus
from tokenformer.data.reading import InputSource
from tokenformer.data.text_collection import QUOTED, open_collection
from tokenformer.errors import UserError


def test_quoted_texts_are_taken_as_they_are():
    collection = open_collection(["A cat, and/or a dog.", "cat"])
    assert collection.is_quoted and collection.corpus is None
    for _ in range(2):
        assert list(collection) == ["A cat, and/or a dog.", "cat"]
    assert {document.source for document in collection.read()} == {QUOTED}


def test_files_and_folders_are_read_each_time_anew(two_sources):
    collection = open_collection([str(two_sources)])
    assert not collection.is_quoted
    assert len(list(collection)) == len(list(collection)) == 600
    assert {document.source for document in collection.read()} == {"easy", "hard"}
    assert len(list(open_collection([str(two_sources / "easy.txt")], unit="file"))) == 1


def test_the_size_is_known_beforehand_where_it_can_be(two_sources):
    assert open_collection([str(two_sources)]).size == sum(file.stat().st_size for file in two_sources.iterdir())
    (two_sources / "packed.txt.gz").write_bytes(gzip.compress(b"a cat"))
    assert open_collection([str(two_sources)]).size is None


def test_a_prepared_corpus_gives_its_documents_back(stand_in_measure, two_sources, tmp_path):
    options = PrepareOptions(
        [InputSource(two_sources)], tmp_path / "out", vocabulary_size=300, validation_share=0.2, language="en"
    )
    prepare_corpus(options)
    collection = open_collection([str(tmp_path / "out")])
    documents = {(document.text, document.source) for document in collection.read()}
    assert documents == {
        (document.text, document.source) for document in open_collection([str(two_sources)], unit="passage").read()
    }
    assert collection.corpus.measure == "surprisal"
    assert collection.size == sum(len(text.encode()) for text in collection)
    with pytest.raises(UserError, match="one prepared corpus is looked at"):
        open_collection([str(tmp_path / "out"), str(two_sources)])


@refused(
    ([], "there is no text"),
    (["  "], "there is no text"),
    (["nowhere/at/all"], "no file or folder nowhere/at/all"),
    (["story.txt"], "no file or folder story.txt"),
    (["stories.jsonl.gz"], "no file or folder stories.jsonl.gz"),
    ([".", "A cat sat."], "no file or folder A cat sat.; give texts or paths"),
)
def test_what_cannot_be_meant(words):
    open_collection(words)
