"""Makes the files of `reference_data/` anew: `python -m scripts.rebuild_reference FOLDER` (extra `curriculum`).

FOLDER holds the texts, as `LANGUAGE/train/NAME.txt` and `LANGUAGE/dev/NAME.txt` with a blank line between documents,
and graded texts in `readability/`. Only texts are used that may be used for anything (public domain, CC BY, CC BY-SA).
"""

import argparse
import json
from collections.abc import Callable
from pathlib import Path

import numpy as np

from scripts.graded_text import bundles, coctaill, onestop, passages, spread_choice
from tokenformer.complexity.features import Features, mean_and_scale
from tokenformer.complexity.measures.ensemble import NORMS_FILE
from tokenformer.complexity.measures.regressor import FEATURES, Regressor
from tokenformer.complexity.text.documents import analysed, text_batches
from tokenformer.complexity.text.reference import REFERENCE_FOLDER, Reference, reference_file

SOURCES = {
    "en": {
        "version": 1,
        "files": ["02_storybooks", "03_readers_grade1-2"],
        "sources": "710 stories of African Storybook and Pratham Books StoryWeaver marked CC BY (CREDITS_en.tsv); "
        "school readers of grades 1 and 2 (Project Gutenberg 37829, 14642, 14640, 1489, 13853, 14668, 15659, 24669, "
        "10070)",
        "licence": "CC BY 4.0 and public domain",
    },
    "sv": {
        "version": 1,
        "files": ["01_barnberattelser", "02_sagor"],
        "sources": "30 stories of African Storybook in Swedish marked CC BY (CREDITS_sv.tsv); fairy tales of Topelius, "
        "H. Nyblom and Hyltén-Cavallius (Project Gutenberg 52780, 53173, 57357)",
        "licence": "CC BY 4.0 and public domain",
    },
}

NORM_FILES = {
    "en": [
        "02_storybooks",
        "03_readers_grade1-2",
        "04_readers_grade3-4",
        "05_children_books",
        "07_plays",
        "08_readers_grade5-8",
        "09_novels",
        "10_wikipedia",
        "11_expository",
    ],
    "sv": [
        "01_barnberattelser",
        "02_sagor",
        "03_berattelser",
        "04_romaner",
        "06_bibeln_1917",
        "07_sakprosa",
        "08_talbanken_modern",
    ],
}
"""Held-out texts of many kinds: none of them is counted in a reference."""

NORM_PASSAGE_WORDS, MOST_NORM_PASSAGES = 200, 60

READERS = {"03_readers_grade1-2": 1.5, "04_readers_grade3-4": 3.5, "08_readers_grade5-8": 6.5}
"""File of school readers -> its mean grade."""

READER_PASSAGE_WORDS, MOST_READER_PASSAGES = 170, 300


FEW_FEATURES = ("vocabulary_surprisal", "sentence_length", "longest_sentence", "word_length", "rare_words")
"""Features that carry over from school readers and news to other text; more fit these better, and others worse."""


def counted(language: str, folder: Path) -> Reference:
    """The reference of a language from the texts in `folder`."""
    facts = dict(SOURCES[language])
    files = [folder / language / "train" / f"{name}.txt" for name in facts.pop("files")]
    texts = [text for file in files for text in file.read_text(encoding="utf-8").split("\n\n")]
    return Reference.count(texts, language, facts)


def norms(language: str, folder: Path) -> dict[str, list[float]]:
    """Mean and standard deviation of every feature of a language, over passages of all kinds in equal numbers."""
    texts = []
    for name in NORM_FILES[language]:
        text = (folder / language / "dev" / f"{name}.txt").read_text(encoding="utf-8")
        texts += spread_choice(passages(text, NORM_PASSAGE_WORDS), MOST_NORM_PASSAGES)
    features = Features.fit(FEATURES[language], language)
    columns = np.concatenate([features(analysed(batch)) for batch in text_batches(texts)])
    pairs = zip(*mean_and_scale(columns), strict=True)
    return {
        name: [float(f"{mean:.6g}"), float(f"{scale:.6g}")]
        for name, (mean, scale) in zip(features.names, pairs, strict=True)
    }


def english_regressor(folder: Path) -> Regressor:
    """Fitted on school readers of three grades and on OneStop at three levels, both standardised to one scale."""
    texts, grades = [], []
    for name, grade in READERS.items():
        text = (folder / "en" / "dev" / f"{name}.txt").read_text(encoding="utf-8")
        # Held-out readers, because the reference of surprisal is counted in the others.
        chosen = spread_choice(passages(text, READER_PASSAGE_WORDS), MOST_READER_PASSAGES)
        texts += chosen
        grades += [grade] * len(chosen)
    articles = onestop(folder / "readability")
    return Regressor.fit(
        texts + articles.texts,
        np.concatenate([_standard(np.array(grades)), _standard(articles.hardness)]),
        "en",
        unit="standard deviations of graded text",
        features=FEW_FEATURES,
        # The words of readers and of news are those of their topics too, so they get small weights.
        word_penalty=10.0,
        trained_on="school readers of grades 1 to 8 (public domain); OneStopEnglish (Vajjala & Lučić 2018, CC BY-SA)",
        version=2,
    )


def swedish_regressor(folder: Path) -> Regressor:
    """Fitted on the sentences of COCTAILL, alone and in bundles of 10, so that it knows longer texts too."""
    sentences = coctaill(folder / "readability")
    sets = [sentences, bundles(sentences, 10, seed=0)]
    return Regressor.fit(
        [text for graded in sets for text in graded.texts],
        np.concatenate([graded.hardness for graded in sets]),
        "sv",
        unit="COCTAILL level (0 beginners, 1 intermediate, 2 advanced)",
        trained_on="sentences of COCTAILL (Volodina et al. 2014) in DaLAJ-GED (Språkbanken Text, CC BY 4.0)",
        version=2,
    )


REGRESSORS: dict[str, Callable[[Path], Regressor]] = {"en": english_regressor, "sv": swedish_regressor}


def _standard(values: np.ndarray) -> np.ndarray:
    return (values - values.mean()) / values.std()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("folder", type=Path)
    folder = parser.parse_args().folder
    for language in SOURCES:
        reference_file(language).write_bytes(counted(language, folder).to_bytes())
    content = {"version": 1, "norms": {language: norms(language, folder) for language in NORM_FILES}}
    NORMS_FILE.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")
    for language, fit in REGRESSORS.items():
        path = REFERENCE_FOLDER / f"regressor_{language}.json"
        path.write_text(fit(folder).to_json() + "\n", encoding="utf-8")
    for path in sorted(REFERENCE_FOLDER.iterdir()):
        print(f"{path}: {path.stat().st_size:,} bytes")


if __name__ == "__main__":
    main()
