"""Megabytes a second of scoring complexity, beside textstat and textdescriptives on the same text.

    python -m benchmarks.complexity_speed [--data ../shared/data] [--megabytes 100] [--rival-megabytes 3]

The text is the shared English corpora, read again and again in another order of documents until there is enough of it.
One core is measured by the process's own CPU time once packages and their tables are loaded, reading of the file
included and with no words remembered of earlier text; several processes by the clock. textstat and textdescriptives
(`pip install textstat textdescriptives`) are measured where they are installed, on less text, because they are slow;
what they compute is named in the table. textdescriptives gets a blank spaCy pipeline with a sentence splitter, which is
its fastest way.
"""

import argparse
import importlib.metadata
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np

from benchmarks.measuring.machine import device_name
from tokenformer.complexity import MEASURES
from tokenformer.complexity.measures.surprisal import SURPRISAL, VOCABULARY_SURPRISAL
from tokenformer.complexity.scoring import default_measure
from tokenformer.data.corpus_scoring import CorpusScoring, MeasureColumns, available_processes
from tokenformer.data.reading import InputSource, read_documents

MEGABYTE = 1e6
OF_COUNTS = ("flesch_kincaid", "coleman_liau", "lix")


def heuristics() -> list[str]:
    """Every measure of English that is neither made of others nor learned."""
    return [
        measure.name
        for measure in MEASURES.values()
        if measure.holds_for("en")
        and not (measure.is_composite or measure.needs_model or measure in (SURPRISAL, VOCABULARY_SURPRISAL))
    ]


def write_text(data: Path, megabytes: float, file: Path) -> None:
    """About so many megabytes of the shared English corpora, a blank line between documents."""
    texts = [
        text
        for source in sorted((data / "en" / "train").glob("*.txt"))
        for text in source.read_text(encoding="utf-8").split("\n\n")
        if text.strip()
    ]
    generator, left = np.random.default_rng(0), megabytes * MEGABYTE
    with file.open("w", encoding="utf-8") as stream:
        while left > 0:
            for place in generator.permutation(len(texts)).tolist():
                left -= len(texts[place].encode()) + 2
                stream.write(texts[place].strip() + "\n\n")
                if left <= 0:
                    break


def documents(file: Path) -> Iterator[str]:
    return (document.text for document in read_documents([InputSource(file)], "paragraph"))


def scoring(names: list[str], folder: Path, processes: int) -> CorpusScoring:
    scorers = [MEASURES[name].fit((), "en") for name in names]
    return CorpusScoring(MeasureColumns(scorers), len(names), folder, processes)


def score_file(names: list[str], file: Path, processes: int) -> None:
    with tempfile.TemporaryDirectory() as folder:
        scoring(names, Path(folder) / "kept", processes).score(documents(file), lambda characters: None)


def textstat_grades(file: Path) -> None:
    import textstat

    for text in documents(file):
        textstat.flesch_kincaid_grade(text)
        textstat.coleman_liau_index(text)
        textstat.lix(text)


def textdescriptives_readability(file: Path) -> None:
    import spacy
    import textdescriptives  # noqa: F401  (registers its components)

    pipeline = spacy.blank("en")
    pipeline.max_length = 10**9
    pipeline.add_pipe("sentencizer")
    pipeline.add_pipe("textdescriptives/readability")
    for parsed in pipeline.pipe(documents(file), batch_size=32):
        parsed._.readability  # noqa: B018  (computed when it is asked for)


SUBJECTS: dict[str, tuple[str, Callable[[Path], None]]] = {
    "default": (
        f"ours, default measure ({default_measure('en')})",
        lambda file: score_file([default_measure("en")], file, 1),
    ),
    "heuristics": (
        f"ours, all {len(heuristics())} heuristics together",
        lambda file: score_file(heuristics(), file, 1),
    ),
    "counts": (
        f"ours, {', '.join(OF_COUNTS)}",
        lambda file: score_file(list(OF_COUNTS), file, 1),
    ),
    "textstat": ("textstat, the same three", textstat_grades),
    "textdescriptives": ("textdescriptives, its seven readability formulas", textdescriptives_readability),
}
RIVALS = ("textstat", "textdescriptives")


def measured(subject: str, file: Path) -> tuple[float, float]:
    """CPU seconds and peak memory in megabytes of one subject, in a process of its own."""
    command = [sys.executable, "-m", "benchmarks.complexity_speed", "--subject", subject, "--file", str(file)]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        raise RuntimeError(done.stderr.strip().splitlines()[-1])
    printed = done.stdout.split()
    return float(printed[-2]), float(printed[-1])


def measure_here(subject: str, file: Path) -> None:
    """For the process of one subject: prints its CPU seconds and peak memory, once imports and tables are loaded."""
    function = SUBJECTS[subject][1]
    with tempfile.NamedTemporaryFile("w", suffix=".txt") as warm_up:
        warm_up.write("A first text.\n")
        warm_up.flush()
        function(Path(warm_up.name))
    start = time.process_time()
    function(file)
    print(time.process_time() - start, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e3)


def version(package: str) -> str | None:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return None


def print_row(name: str, file: Path, seconds: float, memory: float) -> None:
    size = file.stat().st_size / MEGABYTE
    print(f"| {name} | {size:.1f} | {seconds:.2f} | {size / seconds:.2f} | {memory:.0f} |", flush=True)


def print_rival(subject: str, file: Path) -> None:
    if version(subject) is None:
        print(f"| {subject} | is not installed: pip install {subject} | | | |", flush=True)
        return
    try:
        print_row(f"{SUBJECTS[subject][0]} ({version(subject)})", file, *measured(subject, file))
    except RuntimeError as error:
        print(f"| {subject} {version(subject)} | does not run here: {error} | | | |", flush=True)


def report(data: Path, megabytes: float, rival_megabytes: float, processes: int) -> None:
    print(f"{device_name('cpu')}, {available_processes()} processors\n")
    print("| what | MB of text | seconds | MB/s | peak memory, MB |\n|---|---|---|---|---|", flush=True)
    with tempfile.TemporaryDirectory() as folder:
        long, short = Path(folder) / "long.txt", Path(folder) / "short.txt"
        write_text(data, megabytes, long)
        write_text(data, rival_megabytes, short)
        for subject in ("default", "heuristics"):
            print_row(f"{SUBJECTS[subject][0]}, one core", long, *measured(subject, long))
        start = time.perf_counter()
        score_file([default_measure("en")], long, processes)
        seconds = time.perf_counter() - start
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e3
        print_row(f"{SUBJECTS['default'][0]}, {processes} processes by the clock", long, seconds, peak)
        for subject in ("default", "heuristics", "counts"):
            print_row(SUBJECTS[subject][0], short, *measured(subject, short))
        for subject in RIVALS:
            print_rival(subject, short)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    default = Path(__file__).resolve().parents[2] / "shared" / "data"
    parser.add_argument("--data", type=Path, default=default, help="folder with en/train")
    parser.add_argument("--megabytes", type=float, default=100)
    parser.add_argument("--rival-megabytes", type=float, default=3)
    parser.add_argument("--processes", type=int, default=available_processes())
    parser.add_argument("--subject", choices=SUBJECTS, help=argparse.SUPPRESS)
    parser.add_argument("--file", type=Path, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.subject:
        measure_here(arguments.subject, arguments.file)
    else:
        report(arguments.data, arguments.megabytes, arguments.rival_megabytes, arguments.processes)


if __name__ == "__main__":
    main()
