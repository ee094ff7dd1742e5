"""Seconds to choose what is read and to order it, by ordering: `python -m benchmarks.sample_plan --documents 1e7`."""

import argparse
import time
from collections.abc import Iterator

import numpy as np

from tokenformer.curriculum import ORDERINGS
from tokenformer.curriculum.copies import Budget, DocumentTable, choose_copies

SOURCES = ("childes", "novels", "speech", "wikipedia", "code")


def random_documents(number: int) -> DocumentTable:
    """Documents of 5 to 200 tokens and normally distributed complexity, over five sources."""
    generator = np.random.default_rng(0)
    tokens = generator.integers(5, 200, number)
    source = generator.integers(0, len(SOURCES), number)
    return DocumentTable(tokens, tokens * 3 // 4, generator.normal(10, 2, number), source, SOURCES)


def timings(number: int) -> Iterator[tuple[str, float]]:
    """One job on so many documents, read once, and the seconds that it took."""
    documents = random_documents(number)
    budget = Budget(int(documents.tokens.sum()))
    start = time.perf_counter()
    copies = choose_copies(documents, np.ones(number), budget, np.random.default_rng(0))
    yield "choosing", time.perf_counter() - start
    for name, ordering in ORDERINGS.items():
        start = time.perf_counter()
        ordering().order(copies, np.random.default_rng(1))
        yield name, time.perf_counter() - start


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--documents", type=float, default=1e6)
    for name, seconds in timings(int(parser.parse_args().documents)):
        print(f"{name:<16} {seconds:6.2f} s", flush=True)


if __name__ == "__main__":
    main()
