"""Text that people have graded, as the files of its publishers' data sets: for fitting a regressor and for proof."""

import gzip
import json
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

ONESTOP_LEVELS = ("ele", "int", "adv")
COCTAILL_LEVELS = ("Nybörjare", "Fortsättning", "Avancerad")


@dataclass(frozen=True)
class GradedText:
    """n texts.

    Attributes:
        texts: as published.
        hardness: float64[n], harder is higher.
        groups: of each text, what must not be split between fitting and testing: an article, an author.
    """

    texts: list[str]
    hardness: np.ndarray
    groups: list[str]


def onestop(folder: Path) -> GradedText:
    """OneStopEnglish (Vajjala & Lučić 2018): articles at three levels (0, 1, 2), grouped by article."""
    rows = _rows(folder / "onestop.jsonl.gz")
    hardness = [ONESTOP_LEVELS.index(row["level"]) for row in rows]
    return GradedText([row["text"] for row in rows], np.array(hardness, float), [row["id"] for row in rows])


def onestop_articles(graded: GradedText) -> dict[str, list[str]]:
    """Level -> its texts, in one order of the articles, of those that exist at every level."""
    articles: defaultdict[str, dict[int, str]] = defaultdict(dict)
    for text, level, article in zip(graded.texts, graded.hardness.astype(int).tolist(), graded.groups, strict=True):
        articles[article][level] = text
    whole = [levels for levels in articles.values() if len(levels) == len(ONESTOP_LEVELS)]
    return {name: [levels[level] for levels in whole] for level, name in enumerate(ONESTOP_LEVELS)}


def clear(folder: Path) -> GradedText:
    """CLEAR (Crossley et al. 2022): excerpts and what teachers found hard (minus their easiness), grouped by author.

    Wikipedia is one author; excerpts without an author are groups of their own.
    """
    rows = _rows(folder / "clear.jsonl.gz")
    hardness = np.array([-row["bt_easiness"] for row in rows])
    return GradedText([row["excerpt"] for row in rows], hardness, [_author(row) for row in rows])


def _author(row: dict) -> str:
    author = str(row["author"] or "").strip().lower()
    if author in ("", "?"):
        return f"excerpt {row['id']}"
    return "wikipedia" if author in ("wikipedia", "simple wiki") else author


def coctaill(folder: Path) -> GradedText:
    """Sentences of COCTAILL (Volodina et al. 2014), textbooks of Swedish for learners at three levels (0, 1, 2).

    The sentences come without the names of their books, so each is a group of its own.
    """
    rows = _rows(folder / "sv_coctaill_sentences.jsonl.gz")
    texts = [row["text"] for row in rows]
    hardness = np.array([COCTAILL_LEVELS.index(row["level"]) for row in rows], float)
    return GradedText(texts, hardness, [str(index) for index in range(len(texts))])


def passages(text: str, words: int) -> list[str]:
    """A text cut into passages of so many words, paragraphs kept; what is left at the end is left out."""
    pieces = text.split(" ")
    return [" ".join(pieces[start : start + words]) for start in range(0, len(pieces) - words + 1, words)]


def bundles(graded: GradedText, size: int, seed: int) -> GradedText:
    """Texts of equal hardness put together by `size`, in random order: longer texts made of single sentences."""
    generator = np.random.default_rng(seed)
    texts, hardness = [], []
    for level in np.unique(graded.hardness).tolist():
        rows = generator.permutation(np.flatnonzero(graded.hardness == level))
        for start in range(0, rows.size - size + 1, size):
            texts.append(" ".join(graded.texts[row] for row in rows[start : start + size].tolist()))
            hardness.append(level)
    return GradedText(texts, np.array(hardness), [f"bundle {index}" for index in range(len(texts))])


def spread_choice(texts: Sequence[str], most: int) -> list[str]:
    """At most `most` of the texts, evenly spread."""
    if len(texts) <= most:
        return list(texts)
    return [texts[index] for index in np.linspace(0, len(texts) - 1, most).astype(int).tolist()]


def _rows(path: Path) -> list[dict]:
    with gzip.open(path, "rt", encoding="utf-8") as lines:
        return [json.loads(line) for line in lines]
