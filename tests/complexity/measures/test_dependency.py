"""Dependency distance, with a made pipeline whose parser is a rule: every word depends on the first of its text."""

import sys

import numpy as np
import pytest

from tokenformer.complexity import score
from tokenformer.complexity.measures import dependency
from tokenformer.errors import MissingExtraError, UserError


@pytest.fixture
def pipeline(tmp_path) -> str:
    """The folder of the pipeline."""
    spacy = pytest.importorskip("spacy", reason="the parser is in the extra [parser]")
    from spacy.tokens import Doc

    def parser(document):
        return Doc(document.vocab, [t.text for t in document], [bool(t.whitespace_) for t in document],
                   heads=[0] * len(document), deps=["dep"] * len(document))  # fmt: skip

    spacy.Language.component("depends_on_the_first", func=parser)
    made = spacy.blank("en")
    made.add_pipe("depends_on_the_first", name="parser")
    made.to_disk(tmp_path / "pipeline")
    return str(tmp_path / "pipeline")


def test_mean_distance_without_punctuation(pipeline):
    texts = ["root one two", "root , one . two", "root", "", "root one\n\nroot one two three"]
    found = score(texts, "en", "dependency_distance", pipeline=pipeline)
    np.testing.assert_allclose(found, [1.5, 1.5, 0, 0, (1 + 1 + 2 + 3) / 4])
    doubled = score([f"{text}\n\n{text}" for text in texts], "en", "dependency_distance", pipeline=pipeline)
    np.testing.assert_allclose(doubled, found)


def test_long_paragraphs_are_cut(pipeline, monkeypatch):
    monkeypatch.setattr(dependency, "LONGEST_PARSED", 50)
    assert score(["word " * 1000], "en", "dependency_distance", pipeline=pipeline)[0] < 10


def test_what_is_missing_is_named(monkeypatch, pipeline):
    with pytest.raises(UserError, match="no spaCy pipeline 'xx_none': install it"):
        score(["a"], "en", "dependency_distance", pipeline="xx_none")
    with pytest.raises(UserError, match="no pipeline is known for language 'fi'"):
        score(["a"], "fi", "dependency_distance")
    with pytest.raises(UserError, match="does not hold for language 'code'"):
        score(["a"], "code", "dependency_distance")


def test_the_extra_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "spacy", None)
    dependency._opened.cache_clear()
    with pytest.raises(MissingExtraError, match=r"Dependency distance needs.*spacy.*\[parser\]"):
        score(["a"], "en", "dependency_distance")
