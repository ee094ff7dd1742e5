"""The simple text that comes with the package."""

import io
import zipfile

import numpy as np
import pytest

from scripts.rebuild_reference import SOURCES, counted
from tokenformer.complexity.text.reference import (
    REFERENCE_FOLDER,
    Reference,
    built_in_reference,
    has_reference,
    reference_file,
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
            new.writestr(name, old.read(name).replace(b'"format_version": 1', b'"format_version": 2'))
    with pytest.raises(UserError, match="another format version"):
        Reference.open(tmp_path / "new.zip")
