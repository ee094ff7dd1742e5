"""A prepared corpus of two sources, small enough to be made in a moment."""

from pathlib import Path

import numpy as np
import pytest

from tokenformer.data.corpus import PreparedCorpus
from tokenformer.data.prepare import PrepareOptions, prepare_corpus
from tokenformer.data.reading import InputSource

WORDS = {
    "1-easy": ["a", "cat", "sat", "on", "the", "mat", "and", "the", "dog", "ran", "to", "it"],
    "2-hard": [
        "notwithstanding",
        "considerable",
        "the",
        "and",
        "philosophical",
        "ramifications",
        "thereof",
        "of",
        "it",
        "circumvented",
    ],
}


@pytest.fixture(scope="session")
def corpus(tmp_path_factory) -> PreparedCorpus:
    """About 400 paragraphs of the words above, a fifth of them held out; harder text is longer words."""
    folder = tmp_path_factory.mktemp("evaluation")
    (folder / "texts").mkdir()
    random = np.random.default_rng(0)
    for source, words in WORDS.items():
        paragraphs = [" ".join(random.choice(words, size=random.integers(4, 20))) for _ in range(200)]
        (folder / "texts" / f"{source}.txt").write_text("\n\n".join(paragraphs), encoding="utf-8")
    options = PrepareOptions(
        [InputSource(folder / "texts")],
        folder / "prepared",
        unit="paragraph",
        vocabulary_size=300,
        validation_share=0.2,
        measure="lix",
        language="en",
    )
    prepare_corpus(options)
    return PreparedCorpus.open(Path(folder / "prepared"))
