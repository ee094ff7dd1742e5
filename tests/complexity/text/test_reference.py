"""The simple text that comes with the package."""

import dataclasses
import io
import zipfile

import numpy as np
import pytest

from scripts.graded_text import passages
from scripts.rebuild_reference import SOURCES, counted
from tokenformer.complexity import score
from tokenformer.complexity.measures import surprisal
from tokenformer.complexity.text.documents import analysed
from tokenformer.complexity.text.reference import (
    REFERENCE_FOLDER,
    Reference,
    built_in_reference,
    has_reference,
    reference_file,
    reference_overlap,
)
from tokenformer.errors import UserError

TEXTS = ["the cat sat on the mat", "a cat sat", "ett å och ett ö"]


@pytest.mark.parametrize("language", SOURCES)
def test_every_reference_is_what_its_sources_count(shared_data, language):
    assert reference_file(language).read_bytes() == counted(language, shared_data).to_bytes()


def test_there_are_references_of_some_languages():
    assert [language for language in ("en", "sv", "fi", "../en", "") if has_reference(language)] == ["en", "sv"]


@pytest.mark.parametrize("language", SOURCES)
def test_origin_and_licence_are_stated(language):
    facts = built_in_reference(language).facts
    assert facts["version"] >= 1 and facts["words"] > 200_000
    assert "public domain" in facts["licence"]
    assert f"CREDITS_{language}.tsv" in facts["sources"] and (REFERENCE_FOLDER / f"CREDITS_{language}.tsv").is_file()
    about = (REFERENCE_FOLDER / "SOURCES.md").read_text(encoding="utf-8")
    assert reference_file(language).name in about


def test_the_references_take_little_room():
    assert sum(path.stat().st_size for path in REFERENCE_FOLDER.iterdir()) < 2_000_000


def test_what_is_written_is_read_again(tmp_path):
    reference = Reference.count(TEXTS, "en", {"version": 7, "sources": "here", "licence": "none"})
    (tmp_path / "en.zip").write_bytes(reference.to_bytes())
    again = Reference.open(tmp_path / "en.zip")
    assert again.to_bytes() == reference.to_bytes()
    assert again.facts == reference.facts and again.facts["words"] == 14
    assert list(again.model.vocabulary) == sorted(again.model.vocabulary)
    for name in ("word_counts", "pair_keys", "pair_counts", "context_counts", "context_types", "lengths"):
        np.testing.assert_array_equal(getattr(again.model, name), getattr(reference.model, name))


def test_other_files_are_refused(tmp_path):
    with pytest.raises(UserError, match="is not a reference"):
        Reference.open(tmp_path / "missing.zip")
    (tmp_path / "text.zip").write_text("no zip", encoding="utf-8")
    with pytest.raises(UserError, match="is not a reference"):
        Reference.open(tmp_path / "text.zip")
    content = io.BytesIO(Reference.count(TEXTS, "en", {}).to_bytes())
    with zipfile.ZipFile(content) as old, zipfile.ZipFile(tmp_path / "new.zip", "w") as new:
        for name in old.namelist():
            new.writestr(name, old.read(name).replace(b'"format_version": 2', b'"format_version": 3'))
    with pytest.raises(UserError, match="another format version"):
        Reference.open(tmp_path / "new.zip")


STORIES = [
    "Once there was a small red hen. She had three yellow chicks and a garden.\n\n"
    "Every morning the hen counted her chicks.",
    "A boy walked to the old market with his goat. The goat ate a whole basket of bananas, and the boy ran away.",
    "The river rose in the night. Nobody in the village heard it until the bridge was gone.",
]


def test_texts_of_the_reference_are_found_whatever_their_borders():
    reference = Reference.count(STORIES, "en", {})
    assert reference.overlap(analysed(STORIES)).tolist() == [1, 1, 1]
    passages = [
        "SHE had three yellow chicks,\nand a garden. Every morning, the hen counted her chicks!",
        "The goat ate a whole basket of bananas, and the boy ran away. A bird sang in the tall green tree by the "
        "school.",
        "A boy walked to the old market with her goat.",
        "The hen sat.",
        "",
    ]
    found = reference.overlap(analysed(passages))
    assert found[0] == 1 and 0.4 < found[1] < 0.7 and found[2:].tolist() == [0, 0, 0]
    assert reference.overlap(analysed(passages[::-1])).tolist() == found[::-1].tolist()


def test_a_text_of_the_reference_is_priced_without_its_own_counts(monkeypatch):
    monkeypatch.setattr(surprisal, "built_in_reference", lambda language: Reference.count(STORIES, language, {}))
    alphabet = Reference.count(STORIES, "en", {}).model.alphabet
    without = dataclasses.replace(Reference.count(STORIES[1:], "en", {}).model, alphabet=alphabet)
    documents = analysed(STORIES[:1])
    expected = documents.means(without.surprisal(without.read(documents), np.zeros(1, bool)))
    np.testing.assert_allclose(score(STORIES[:1], "en", "surprisal"), expected, rtol=1e-12)
    new = "Nobody saw the goat of the village in the garden of the hen."
    plain = Reference.count(STORIES, "en", {}).model
    documents = analysed([new])
    untouched = documents.means(plain.surprisal(plain.read(documents), np.zeros(1, bool)))
    np.testing.assert_array_equal(score([new], "en", "surprisal"), untouched)


def test_storybooks_and_new_text_of_their_kind_are_about_as_hard(shared_data):
    for language, name in (("en", "02_storybooks"), ("en", "03_readers_grade1-2"), ("sv", "02_sagor")):
        seen, new = (
            passages((shared_data / language / part / f"{name}.txt").read_text(encoding="utf-8"), 200)
            for part in ("train", "dev")
        )
        difference = np.median(score(new, language, "surprisal")) - np.median(score(seen, language, "surprisal"))
        assert abs(difference) < 1.0, (name, difference)
        assert reference_overlap(seen, language) > 0.85 and reference_overlap(new, language) < 0.1
