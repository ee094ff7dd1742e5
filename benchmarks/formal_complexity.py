"""How well measures of complexity tell the known difficulty of formal languages.

    python -m benchmarks.formal_complexity [--documents 1900] [--seed 0]

For each language and measure, Spearman's rank correlation of score and difficulty over strings that are drawn evenly
over the difficulties; 0 where the measure gives all strings one score. Strings of a^n b^n c^n stand three in a
document.
"""

import argparse

import numpy as np

from benchmarks.measuring.rank_statistics import spearman
from tokenformer.complexity import score
from tokenformer.corpora.formal import LANGUAGES, formal_language
from tokenformer.corpora.formal.sampling import Sample

MEASURES = ("nesting_depth", "compression", "surprisal")
PARAMETERS = {"equal_counts": {"repeats": 3, "largest": 20}}


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--documents", type=int, default=1900)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args(arguments)
    print(f"{'':<14}" + "".join(f"{measure:>15}" for measure in MEASURES))
    for name in LANGUAGES:
        language = formal_language(name, PARAMETERS.get(name))
        drawn = [*Sample(language, {"documents": options.documents}, options.seed)]
        texts, difficulty = [each.text for each in drawn], np.array([each.stratum.difficulty for each in drawn])
        found = [spearman(score(texts, language="formal", measure=measure), difficulty) for measure in MEASURES]
        print(f"{name:<14}" + "".join(f"{value:>15.2f}" for value in found))


if __name__ == "__main__":
    main()
