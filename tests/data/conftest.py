"""Fixtures of the data tests: a measure that costs nothing, and corpora that are small and awkward."""

import sys
from pathlib import Path
from types import ModuleType, SimpleNamespace

import numpy as np
import pytest

import tokenformer.complexity
from tokenformer.config.registry import Registry


def characters_per_word(texts: list[str]) -> np.ndarray:
    return np.array([len(text) / max(1, len(text.split())) for text in texts])


@pytest.fixture
def stand_in_measure(monkeypatch):
    """The measure "surprisal", for tests of everything but the scores: it gives characters per word, at once."""
    scoring = ModuleType("tokenformer.complexity.scoring")
    scoring.characters_per_word = characters_per_word
    scorer = SimpleNamespace(on=lambda documents: characters_per_word(documents.texts))
    measure = SimpleNamespace(fit=lambda texts, language: scorer, check_language=lambda language: None)
    scoring.find_measure = Registry("measure", {"surprisal": measure}).find
    scoring.scorer = scorer
    scoring.default_measure = lambda language: "surprisal"
    monkeypatch.setitem(sys.modules, "tokenformer.complexity.scoring", scoring)
    measures = {"surprisal": SimpleNamespace(unit="characters per word")}
    monkeypatch.setattr(tokenformer.complexity, "MEASURES", measures, raising=False)
    return scoring


@pytest.fixture
def two_sources(tmp_path: Path) -> Path:
    """A folder of two texts of 300 paragraphs each, `easy` and `hard`."""
    folder = tmp_path / "texts"
    folder.mkdir()
    random = np.random.default_rng(0)
    for name, words in (("easy", ["a", "cat", "sat", "on", "it"]), ("hard", ["notwithstanding", "Åsas", "ödlor", "é"])):
        paragraphs = [
            " ".join(random.choice(words, size=random.integers(3, 30))) + f" {number}" for number in range(300)
        ]
        (folder / f"{name}.txt").write_text("\n\n".join(paragraphs), encoding="utf-8")
    return folder
