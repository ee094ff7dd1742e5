"""Complexity measures against what people say is hard: OneStop, CLEAR, COCTAILL, Swedish domains, three Bibles.

    python -m benchmarks.complexity [--data ../shared/data] [--resamples 500] [--only clear onestop ...]
        [--reference CHECKPOINT [--weak CHECKPOINT]]

OneStop: share of articles whose three versions come out in order. Its harder versions are longer, so every version is
also cut to the number of words of the shortest one ("equal length"). CLEAR and COCTAILL: Spearman correlation with
what teachers and textbooks call hard, and the same with the number of words held constant. Intervals are 95 %,
bootstrapped over articles, authors and sentences. What is fitted to graded text is fitted without the articles,
authors or sentences that it is tested on ("cross-validated", 5 folds); the regressors that the package brings are
marked where they are tested on the texts that they were fitted on.
"""

import argparse
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np
from sklearn.model_selection import GroupKFold

from benchmarks.measuring.rank_statistics import estimate, partial_spearman, resampled_rows, share_ascending, spearman
from scripts.graded_text import (
    ONESTOP_LEVELS,
    GradedText,
    clear,
    coctaill,
    onestop,
    onestop_articles,
    passages,
    spread_choice,
)
from tokenformer.complexity import MEASURES, score
from tokenformer.complexity.measures.regressor import Regressor
from tokenformer.complexity.text.documents import analysed
from tokenformer.corpora.bible import TRANSLATIONS
from tokenformer.errors import MissingExtraError
from tokenformer.trainer.checkpoint.checkpoint_losses import CheckpointLosses, measure_of_models

FOLDS = 5
DOMAIN_PASSAGE_WORDS, MOST_DOMAIN_PASSAGES = 200, 100
BIBLE_CHAPTERS = 400

Row = list[str]

Models = Mapping[str, Mapping[str, CheckpointLosses]]
"""Measures of trained models, with their parameters."""


def table(title: str, header: Row, rows: Iterator[Row]) -> None:
    """Prints a table in Markdown, each row as soon as it is there."""
    print(f"\n### {title}\n\n| {' | '.join(header)} |\n|{'---|' * len(header)}", flush=True)
    for row in rows:
        print(f"| {' | '.join(row)} |", flush=True)


def needs_no_model(language: str) -> list[str]:
    """Measures of a language that need nothing but the text."""
    return [name for name, measure in MEASURES.items() if measure.holds_for(language) and not measure.needs_model]


def cross_validated(graded: GradedText, language: str, words: bool) -> np.ndarray:
    """float64[n]: each text's prediction by a regressor that was fitted without its group."""
    predictions = np.empty(len(graded.texts))
    for train, test in GroupKFold(FOLDS, shuffle=True, random_state=0).split(graded.texts, groups=graded.groups):
        regressor = Regressor.fit(
            [graded.texts[row] for row in train],
            graded.hardness[train],
            language,
            unit="grade",
            trained_on="folds",
            words=words,
        )
        predictions[test] = regressor(analysed([graded.texts[row] for row in test]))
    return predictions


def scored(graded: GradedText, language: str, fitted_here: bool, models: Models) -> Iterator[tuple[str, np.ndarray]]:
    """Name of each measure, with its scores float64[n]; the cross-validated regressor last."""
    for name in needs_no_model(language):
        mark = " (fitted on these texts)" if fitted_here and name == "regressor" else ""
        yield name + mark, score(graded.texts, language, name)
    for name, parameters in models.items() if language == "en" else ():
        yield name, score(graded.texts, language, name, **parameters)
    yield "regressor of features and words, cross-validated", cross_validated(graded, language, words=True)
    yield "regressor of features alone, cross-validated", cross_validated(graded, language, words=False)


def cut_to_equal_length(levels: Sequence[str]) -> list[str]:
    """The versions of one article, each cut to the number of words of the shortest."""
    shortest = min(len(text.split()) for text in levels)
    return [passages(text, shortest)[0] for text in (" ".join(level.split()) for level in levels)]


def onestop_rows(folder: Path, resamples: int, models: Models) -> Iterator[Row]:
    articles = onestop_articles(onestop(folder))
    versions = [articles[level] for level in ONESTOP_LEVELS]
    count = len(versions[0])
    equal = [list(level) for level in zip(*map(cut_to_equal_length, zip(*versions, strict=True)), strict=True)]
    names = [str(article) for article in range(count)]
    rows = resampled_rows(names, resamples)
    graded, cut = (
        GradedText([text for level in texts for text in level], np.repeat([0.0, 1.0, 2.0], count), names * 3)
        for texts in (versions, equal)
    )
    for (name, values), (_, at_equal_length) in zip(
        *(scored(each, "en", True, models) for each in (graded, cut)), strict=True
    ):
        low, middle, high = values.reshape(3, count)
        cut_low, _, cut_high = at_equal_length.reshape(3, count)
        yield [
            name,
            f"{share_ascending(low, middle):.3f}",
            f"{share_ascending(middle, high):.3f}",
            str(estimate(share_ascending, [low, high], rows)),
            str(estimate(share_ascending, [low, middle, high], rows)),
            f"{share_ascending(cut_low, cut_high):.3f}",
        ]


def correlation_rows(
    graded: GradedText, language: str, resamples: int, fitted_here: bool, models: Models
) -> Iterator[Row]:
    words = np.array([len(text.split()) for text in graded.texts], float)
    rows = resampled_rows(graded.groups, resamples)
    for name, values in scored(graded, language, fitted_here, models):
        plain = estimate(spearman, [values, graded.hardness], rows)
        controlled = estimate(partial_spearman, [values, graded.hardness, words], rows)
        yield [name, str(plain), str(controlled)]


def domain_scores(file: Path, name: str) -> np.ndarray:
    text = file.read_text(encoding="utf-8")
    chosen = spread_choice(passages(text, DOMAIN_PASSAGE_WORDS), MOST_DOMAIN_PASSAGES)
    return score(chosen, "sv", name)


def domain_rows(folder: Path) -> Iterator[Row]:
    """Median of each domain, and the rank correlation with the order of the files, which somebody put by hand."""
    files = sorted((folder / "sv" / "dev").glob("*.txt"))
    for name in needs_no_model("sv"):
        medians = np.array([np.median(domain_scores(file, name)) for file in files])
        order = " < ".join(files[place].stem[3:] for place in np.argsort(medians).tolist())
        yield [name, f"{spearman(medians, np.arange(len(files))):.2f}", order]


def bible_rows(resamples: int) -> Iterator[Row]:
    """Chapters that all three translations have, evenly spread over the book."""
    chapters = [_chapters(translation.verses()) for translation in TRANSLATIONS]
    shared = sorted(set.intersection(*map(set, chapters)))
    chosen = [shared[place] for place in np.linspace(0, len(shared) - 1, BIBLE_CHAPTERS).astype(int).tolist()]
    rows = resampled_rows([str(chapter) for chapter in chosen], resamples)
    for name in needs_no_model("en"):
        easy, modern, old = (score([version[chapter] for chapter in chosen], "en", name) for version in chapters)
        means = " ".join(f"{values.mean():.3g}" for values in (easy, modern, old))
        pairs = [f"{share_ascending(*pair):.3f}" for pair in ((easy, modern), (modern, old), (easy, old))]
        yield [name, means, *pairs, str(estimate(share_ascending, [easy, modern, old], rows))]


def _chapters(verses: dict[int, str]) -> dict[int, str]:
    chapters: dict[int, str] = {}
    for number, verse in verses.items():
        chapters[number // 1000] = f"{chapters.get(number // 1000, '')} {verse}".strip()
    return chapters


def print_onestop(data: Path, resamples: int, models: Models) -> None:
    header = ["measure", "ele < int", "int < adv", "ele < adv", "ele < int < adv", "ele < adv at equal length"]
    table("OneStop: share of articles in order", header, onestop_rows(data / "readability", resamples, models))


def print_clear(data: Path, resamples: int, models: Models) -> None:
    graded = clear(data / "readability")
    title = f"CLEAR: correlation with hardness, {len(graded.texts)} excerpts of {len(set(graded.groups))} authors"
    rows = correlation_rows(graded, "en", resamples, False, models)
    table(title, ["measure", "Spearman", "at equal length"], rows)


def print_coctaill(data: Path, resamples: int, models: Models) -> None:
    graded = coctaill(data / "readability")
    title = f"COCTAILL: correlation with the level, {len(graded.texts)} single sentences"
    rows = correlation_rows(graded, "sv", resamples, True, models)
    table(title, ["measure", "Spearman", "at equal length"], rows)


def print_domains(data: Path, resamples: int, models: Models) -> None:
    header = ["measure", "Spearman with the order by hand", "domains by median of passages of 200 words"]
    table("Swedish domains", header, domain_rows(data))


def print_bible(data: Path, resamples: int, models: Models) -> None:
    header = ["measure", "mean of BBE, WEB, KJV", "BBE < WEB", "WEB < KJV", "BBE < KJV", "BBE < WEB < KJV"]
    try:
        table(f"Three Bibles: share of {BIBLE_CHAPTERS} chapters in order", header, bible_rows(resamples))
    except MissingExtraError as error:
        print(f"left out: {error}")


PARTS: dict[str, Callable[[Path, int, Models], None]] = {
    "onestop": print_onestop,
    "clear": print_clear,
    "coctaill": print_coctaill,
    "domains": print_domains,
    "bible": print_bible,
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    default = Path(__file__).resolve().parents[2] / "shared" / "data"
    parser.add_argument("--data", type=Path, default=default, help="folder with readability/ and sv/")
    parser.add_argument("--resamples", type=int, default=500, help="of the bootstrap")
    parser.add_argument("--only", nargs="+", choices=PARTS, default=list(PARTS))
    parser.add_argument("--reference", type=Path, help="checkpoint of an English model: adds perplexity")
    parser.add_argument("--weak", type=Path, help="checkpoint of a weaker one: adds loss_gap")
    arguments = parser.parse_args()
    weak_models = [None, arguments.weak] if arguments.weak else [None]
    models = dict(
        measure_of_models(None, arguments.reference, weak, None) for weak in weak_models if arguments.reference
    )
    for name in arguments.only:
        PARTS[name](arguments.data, arguments.resamples, models)


if __name__ == "__main__":
    main()
